# SPDX-License-Identifier: Apache-2.0
"""Follow the regularized leader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import initializers
from fastnn.autodiff import raw
from fastnn.optimizers._updates import fuses_decay
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


_NOT_NEGATIVE = (
    "initial_accumulator_value",
    "l1_regularization_strength",
    "l2_regularization_strength",
    "l2_shrinkage_regularization_strength",
)


@export("keras.optimizers")
class Ftrl(Optimizer):
    """FTRL-Proximal: sparse linear models online (McMahan et al., 2013).

    With `s = g**2` added up in `n`, `p = -learning_rate_power` and
    `h = g + 2 * l2_shrinkage * w`: `z += h - (n**p - n_before**p) / learning_rate * w`,
    `w = (clip(z, -l1, l1) - z) / (n**p / learning_rate + 2 * (l2 + beta / (2 *
    learning_rate)))`.

    Args:
        learning_rate: number, schedule or function.
        learning_rate_power: how the rate falls, at most 0; 0 keeps it.
        initial_accumulator_value: start of the sums `n`, at least 0.
        l1_regularization_strength: weights within it are 0.
        l2_regularization_strength: stabilizing penalty.
        l2_shrinkage_regularization_strength: magnitude penalty.
        beta: adds to the root of `n`, as in the paper.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        self._accumulators: list[Variable] = []
        self._linears: list[Variable] = []
        self._check_arguments()

    def _check_arguments(self) -> None:
        if self.learning_rate_power > 0.0:
            raise ValueError(
                f"[Ftrl] learning_rate_power must be at most 0, got "
                f"{self.learning_rate_power!r}."
            )
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0.0:
                raise ValueError(
                    f"[Ftrl] {name} must be at least 0, got {getattr(self, name)!r}."
                )

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots of each variable."""
        if self.built:
            return
        super().build(variables)
        self._accumulators, self._linears = self.add_optimizer_variables(
            variables,
            ["accumulator", "linear"],
            [initializers.Constant(self.initial_accumulator_value), "zeros"],
        )

    @fuses_decay
    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable, in one kernel."""
        index = self._get_variable_index(variable)
        self._apply_op(
            raw.ftrl,
            gradient,
            variable,
            [self._accumulators[index], self._linears[index]],
            learning_rate,
            learning_rate_power=self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
        )

    def get_config(self) -> dict[str, Any]:
        names = """learning_rate_power initial_accumulator_value
        l1_regularization_strength l2_regularization_strength
        l2_shrinkage_regularization_strength beta""".split()
        return super().get_config() | {name: getattr(self, name) for name in names}
