# SPDX-License-Identifier: Apache-2.0
"""Adam whose second moments are kept for rows and columns only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Variable
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


@export("keras.optimizers")
class Adafactor(Optimizer):
    """Steps over root mean squares that are factored (Shazeer and Stern, 2018).

    With `t` counting updates from 1, `b = 1 - t**beta_2_decay` and
    `s = g**2 + epsilon_1`: for matrices (of the last two axes) `r` and `c` follow the
    means of `s` over columns and rows, `r = b * r + (1 - b) * mean(s, -1)`, and
    `v = r / mean(r) * c`; for others `v = b * v + (1 - b) * s`. Then
    `u = g / sqrt(v)`, `u /= max(1, rms(u) / clip_threshold)`, and
    `w -= max(epsilon_2, rms(w)) * min(learning_rate, 1 / sqrt(t)) * u`.

    Args:
        learning_rate: number, schedule or function.
        beta_2_decay: exponent of the memory of second moments, negative.
        epsilon_1: added to squared gradients.
        epsilon_2: smallest scale of a variable.
        clip_threshold: largest root mean square of a step.
        relative_step: kept for Keras's signature: the rate never exceeds 1 / sqrt(t).
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step
        # One (r, c) per variable, None for vectors, and the second moments.
        self._factors: list[tuple[Variable, Variable] | None] = []
        self._velocities: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the moments of rows, columns and elements of each variable."""
        if self.built:
            return
        super().build(variables)
        for variable in variables:
            shape, factors = variable.shape, None
            if len(shape) < 2:
                for _ in range(2):  # Keras's files have something in their places
                    self._own(np.int32(0), "int32", variable.name)
            else:
                rows, columns = shape[:-1], (*shape[:-2], shape[-1])
                like = {"dtype": variable.dtype, "name": variable.name}
                factors = (
                    self.add_variable(rows, **like),
                    self.add_variable(columns, **like),
                )
            self._factors.append(factors)
            self._velocities.append(
                self.add_variable_from_reference(variable, "velocity")
            )

    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        step = ops.cast(self.iterations + 1, dtype)
        fade = ops.power(step, self.beta_2_decay)
        squares = ops.add(ops.square(gradient), self.epsilon_1)
        slot, factors = self._velocities[index], self._factors[index]

        def follow(old: Variable, new: Tensor) -> Tensor:
            moved = old.value * (1.0 - fade) + new * fade
            self.assign(old, moved)
            return moved

        if factors is None:
            v = follow(slot, squares)
        else:
            r = follow(factors[0], ops.mean(squares, axis=-1))
            c = follow(factors[1], ops.mean(squares, axis=-2))
            share = r / ops.mean(r, axis=-1, keepdims=True)
            v = ops.expand_dims(share, -1) * ops.expand_dims(c, -2)
            self.assign(slot, v)
        update = gradient / ops.sqrt(v)
        update = update / ops.maximum(_rms(update) / self.clip_threshold, 1.0)
        rate = ops.minimum(ops.cast(learning_rate, dtype), 1.0 / ops.sqrt(step))
        scale = ops.maximum(_rms(variable.value), self.epsilon_2) * rate
        self.assign_sub(variable, update * scale)

    def get_config(self) -> dict[str, Any]:
        names = """beta_2_decay epsilon_1 epsilon_2 clip_threshold
        relative_step""".split()
        return super().get_config() | {name: getattr(self, name) for name in names}


def _rms(x: Tensor) -> Tensor:
    return ops.sqrt(ops.mean(ops.square(x)))
