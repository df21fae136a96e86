# SPDX-License-Identifier: Apache-2.0
"""AdamW that averages its iterates, so that no schedule is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


@export("keras.optimizers")
class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW (Defazio et al., 2024, arXiv:2405.15682).

    The weights `y` lie between the iterate `z` and its average `x`:
    `y = (1 - beta_1) * z + beta_1 * x`. With `t` counting updates from 1,
    `v += (1 - beta_2) * (g**2 - v)`,
    `z -= learning_rate * g / (sqrt(v / (1 - beta_2**t)) + epsilon)`,
    `x += (z - x) / t`; both start at the weights.

    Args:
        learning_rate: number, schedule or function.
        beta_1: place of the weights between iterate and average.
        beta_2: momentum of the squared gradients.
        epsilon: added to their root.
        warmup_steps: updates until the rate has grown to `learning_rate`.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
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
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the iterate, which starts at the weights, and the second moments."""
        if self.built:
            return
        super().build(variables)
        for variable in variables:

            def start(shape: Any, dtype: Any = None, at: Any = variable) -> Any:
                return at

            add = self.add_variable_from_reference
            self._momentums.append(add(variable, "momentum", start))
            self._velocities.append(add(variable, "velocity"))

    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable."""
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        rate = ops.cast(learning_rate, dtype)
        if self.warmup_steps > 0:
            rate = rate * ops.minimum(step / float(self.warmup_steps), 1.0)
        old = velocity.value
        v = old + (ops.square(gradient) - old) * (1.0 - self.beta_2)
        self.assign(velocity, v)
        corrected = v / (1.0 - ops.power(self.beta_2, step))
        z_old = momentum.value
        z = z_old - rate * gradient / (ops.sqrt(corrected) + self.epsilon)
        self.assign(momentum, z)
        near = 1.0 - self.beta_1
        average = (variable.value - z_old * near) / self.beta_1
        share = 1.0 / step
        average = average * (1.0 - share) + z * share
        self.assign(variable, z * near + average * self.beta_1)

    def get_config(self) -> dict[str, Any]:
        names = "beta_1 beta_2 epsilon warmup_steps".split()
        return super().get_config() | {name: getattr(self, name) for name in names}
