# SPDX-License-Identifier: Apache-2.0
"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn.autodiff import raw
from fastnn.optimizers._updates import fuses_decay
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


@export("keras.optimizers")
class Adam(Optimizer):
    """Moving averages of gradients and their squares (Kingma and Ba, 2014).

    With `t` counting updates from 1, `m += (1 - beta_1) * (g - m)`,
    `v += (1 - beta_2) * (g**2 - v)`,
    `w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) +
    epsilon)`. `amsgrad` divides by the largest `v` so far (Reddi et al., 2018).

    Args:
        learning_rate: number, schedule or function.
        beta_1: momentum of the gradients.
        beta_2: momentum of their squares.
        epsilon: "epsilon hat" of the paper; None is `config.epsilon()`.
        amsgrad: use the maximum of `v`.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.

    Example:
        >>> v = keras.Variable(1.0)
        >>> keras.optimizers.Adam(0.1).apply([keras.ops.array(2.0)], [v])
        >>> round(float(v), 4)  # the first step is as long as the rate
        0.9
    """

    _slot_options = (*Optimizer._slot_options, "amsgrad")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = self._epsilon_or_default(epsilon)
        self.amsgrad = amsgrad
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []
        self._velocity_hats: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the averages of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(
                variables, "velocity_hat"
            )

    @fuses_decay
    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable, in one kernel."""
        index = self._get_variable_index(variable)
        op: Any = raw.adam
        slots = [self._momentums[index], self._velocities[index]]
        if self.amsgrad:
            op = raw.adam_amsgrad
            slots.append(self._velocity_hats[index])
        self._apply_op(
            op,
            gradient,
            variable,
            slots,
            learning_rate,
            self.iterations + 1,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


@export("keras.optimizers")
class AdamW(Adam):
    """Adam whose weight decay does not pass through the averages (Loshchilov, 2019).

    `w -= learning_rate * weight_decay * w` before each update of `Adam`.

    Args:
        learning_rate, beta_1, beta_2, epsilon, amsgrad: see `Adam`.
        weight_decay: decay, not None.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.

    Example:
        >>> v = keras.Variable(1.0)
        >>> adam = keras.optimizers.AdamW(0.1, weight_decay=0.5)
        >>> adam.apply([keras.ops.array(2.0)], [v])
        >>> round(float(v), 4)
        0.85
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ValueError("[AdamW] weight_decay must be a number, got None.")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
