# SPDX-License-Identifier: Apache-2.0
"""Gradient descent, with momentum."""

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
class SGD(Optimizer):
    """`w -= learning_rate * g`, with or without momentum.

    With it, `m = momentum * m - learning_rate * g` and `w += m`; with Nesterov's form
    `w += momentum * m - learning_rate * g` (Sutskever et al., 2013).

    Args:
        learning_rate: number, schedule or function.
        momentum: in [0, 1]; 0 keeps no slot.
        nesterov: look ahead along the momentum.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.

    Example:
        >>> v = keras.Variable(1.0)
        >>> keras.optimizers.SGD(0.1).apply([keras.ops.array(2.0)], [v])
        >>> round(float(v), 4)
        0.8
    """

    _slot_options = (*Optimizer._slot_options, "momentum")

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not 0.0 <= momentum <= 1.0:
            raise ValueError(f"[SGD] momentum must be in [0, 1], got {momentum!r}.")
        self.momentum = float(momentum)
        self.nesterov = nesterov
        self.momentums: list[Variable] = []

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the momentum of each variable."""
        if self.built:
            return
        super().build(variables)
        if self.momentum:
            self.momentums = self.add_optimizer_variables(variables, "momentum")

    @fuses_decay
    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable, in one kernel."""
        if not self.momentum:
            self._apply_op(raw.sgd, gradient, variable, (), learning_rate)
            return
        self._apply_op(
            raw.sgd_momentum,
            gradient,
            variable,
            [self.momentums[self._get_variable_index(variable)]],
            learning_rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }
