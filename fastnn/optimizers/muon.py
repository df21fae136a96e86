# SPDX-License-Identifier: Apache-2.0
"""Momentum made orthogonal for matrices, Adam for all else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


@export("keras.optimizers")
class Muon(Optimizer):
    """Steps along the nearest orthogonal matrix of a momentum (Jordan et al., 2024).

    For a matrix, `m = momentum * m + g`, `x = g + momentum * m` (or `m` without
    `nesterov`), `w -= learning_rate * rms_rate * sqrt(max(rows, columns)) *
    orthogonal(x)` (Liu et al., 2025, arXiv:2502.16982), where `orthogonal` brings all
    singular values near 1 by `ns_steps` of the Newton-Schulz iteration
    `x <- a * x + (b * A + c * A @ A) @ x`, `A = x @ x.T`. Variables that are not
    matrices, embeddings and `exclude_layers` take the step of `AdamW`.

    Args:
        learning_rate: number, schedule or function.
        adam_beta_1, adam_beta_2, epsilon: those of the `Adam` steps.
        adam_weight_decay: decay of the variables with `Adam` steps.
        weight_decay: decay of the others.
        exclude_layers: regular expressions; variables whose path matches one take
            `Adam` steps. The last layer of a classifier belongs here.
        exclude_embeddings: variables with "embedding" in their path do, too.
        muon_a, muon_b, muon_c: coefficients of the iteration.
        adam_lr_ratio: learning rate of the `Adam` steps over that of the others.
        momentum: momentum of the gradients.
        ns_steps: number of iterations.
        nesterov: look one step ahead.
        rms_rate: root mean square of a step; None does not scale it.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float | None = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = self._epsilon_or_default(epsilon)
        self.exclude_layers = list(exclude_layers or [])
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate
        self.momentums: list[Variable] = []
        self.adam_velocities: list[Variable | None] = []

    def _should_use_adamw(self, variable: Variable) -> bool:
        if len(variable.shape) != 2:
            return True
        if self.exclude_embeddings and "embedding" in variable.path.lower():
            return True
        return any(re.search(word, variable.path) for word in self.exclude_layers)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the momentum of each variable, and the velocity of `Adam` steps."""
        if self.built:
            return
        super().build(variables)
        for variable in variables:
            self.momentums.append(
                self.add_variable_from_reference(variable, "momentum")
            )
            self.adam_velocities.append(
                self.add_variable_from_reference(variable, "velocity")
                if self._should_use_adamw(variable)
                else None
            )

    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable."""
        index = self._get_variable_index(variable)
        slot, velocity = self.momentums[index], self.adam_velocities[index]
        if velocity is not None:
            rate = ops.cast(learning_rate, variable.dtype) * self.adam_lr_ratio
            self._apply_op(
                raw.adam,
                gradient,
                variable,
                [slot, velocity],
                rate,
                self.iterations + 1,
                beta_1=self.adam_beta_1,
                beta_2=self.adam_beta_2,
                epsilon=self.epsilon,
            )
            return
        gradient = ops.cast(gradient, variable.dtype)
        m = slot.value * self.momentum + gradient
        self.assign(slot, m)
        step = self._orthogonal(gradient + m * self.momentum if self.nesterov else m)
        rate = ops.cast(learning_rate, variable.dtype)
        if self.rms_rate is not None:
            rate = rate * (float(max(variable.shape)) ** 0.5 * self.rms_rate)
        self.assign(variable, raw.sgd(variable, step, rate))

    def _orthogonal(self, x: Tensor) -> Tensor:
        """Newton-Schulz iterations on the side whose products are small."""
        tall = x.shape[0] > x.shape[1]
        if tall:
            x = raw.transpose(x, (1, 0))
        norm = raw.sqrt(raw.sum(raw.square_sums(x), (0,), False))
        x = x / (norm + 1e-7)  # singular values at most 1
        for _ in range(self.ns_steps):
            a = raw.matmul(x, raw.transpose(x, (1, 0)))
            b = a * self.muon_b + raw.matmul(a, a) * self.muon_c
            x = x * self.muon_a + raw.matmul(b, x)
        return raw.transpose(x, (1, 0)) if tall else x

    def _decay_weights(self, variables: list[Variable], rate: Any) -> None:
        for variable in variables:
            adam = self._should_use_adamw(variable)
            decay = self.adam_weight_decay if adam else self.weight_decay
            if decay is not None and self._use_weight_decay(variable):
                self._decay(variable, rate, decay)

    def get_config(self) -> dict[str, Any]:
        names = """adam_beta_1 adam_beta_2 adam_weight_decay epsilon exclude_layers
        exclude_embeddings muon_a muon_b muon_c adam_lr_ratio momentum ns_steps nesterov
        rms_rate""".split()
        return super().get_config() | {name: getattr(self, name) for name in names}
