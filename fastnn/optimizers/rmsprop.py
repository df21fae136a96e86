# SPDX-License-Identifier: Apache-2.0
"""Gradient descent scaled by a moving average of squared gradients."""

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
class RMSprop(Optimizer):
    """`v = rho * v + (1 - rho) * g**2`, `w -= learning_rate * g / sqrt(v + epsilon)`.

    `centered` subtracts the square of the average gradient from `v`; `momentum` adds
    the steps up, `m = momentum * m + step`, `w -= m` (Tieleman and Hinton, 2012).

    Args:
        learning_rate: number, schedule or function.
        rho: momentum of the average of squares.
        momentum: momentum of the steps; 0 keeps no slot.
        epsilon: keeps the quotient finite; None is `config.epsilon()`.
        centered: scale by the variance instead of the mean square.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.

    Example:
        >>> v = keras.Variable(1.0)
        >>> keras.optimizers.RMSprop(0.1, rho=0.75).apply([keras.ops.array(2.0)], [v])
        >>> round(float(v), 4)
        0.8
    """

    _slot_options = (*Optimizer._slot_options, "momentum", "centered")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
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
        self.rho = rho
        self.momentum = momentum
        self.epsilon = self._epsilon_or_default(epsilon)
        self.centered = centered
        self._velocities: list[Variable] = []
        self._momentums: list[Variable] = []
        self._average_gradients: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the averages of each variable."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(variables, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(
                variables, "average_gradient"
            )

    @fuses_decay
    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable, in one kernel."""
        index = self._get_variable_index(variable)
        op: Any = raw.rmsprop
        slots = [self._velocities[index]]
        options = {"rho": self.rho, "epsilon": self.epsilon}
        if self.centered:
            op = raw.rmsprop_centered
            slots.append(self._average_gradients[index])
        if self.momentum > 0:
            centered, plain = raw.rmsprop_centered_momentum, raw.rmsprop_momentum
            op = centered if self.centered else plain
            slots.append(self._momentums[index])
            options["momentum"] = self.momentum
        self._apply_op(op, gradient, variable, slots, learning_rate, **options)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
