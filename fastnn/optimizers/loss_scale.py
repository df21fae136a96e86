# SPDX-License-Identifier: Apache-2.0
"""A wrapper that keeps gradients in the range of float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.optimizers.optimizer import Optimizer
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Variable

# What files of older versions have beside the arguments, with the only values that are
# allowed: the inner optimizer has these options.
_INNER = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


@export("keras.optimizers", "keras.mixed_precision")
class LossScaleOptimizer(Optimizer):
    """Multiplies the loss by a factor, and divides the gradients by it.

    When a gradient is not finite, the step is skipped and the factor halved; after
    `dynamic_growth_steps` finite ones it is doubled (Micikevicius et al., 2018,
    arXiv:1710.03740).

    Args:
        inner_optimizer: the optimizer that updates.
        initial_scale: the first factor.
        dynamic_growth_steps: finite steps until it is doubled.
        name: name, default from the class.

    Raises:
        ValueError: for options of the inner optimizer, and for anything but one.
    """

    def __init__(
        self,
        inner_optimizer: Optimizer,
        initial_scale: float = 2.0**15,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):
            raise ValueError(
                "[LossScaleOptimizer] inner_optimizer must be an Optimizer, received "
                f"{inner_optimizer!r}."
            )
        if not kwargs.pop("dynamic", True):
            raise ValueError(
                "[LossScaleOptimizer] dynamic=False is not supported: set "
                "loss_scale_factor on the inner optimizer."
            )
        kept = {k: v for k, v in kwargs.items() if _INNER.get(k, kwargs) != v}
        if kept:
            raise ValueError(
                f"[LossScaleOptimizer] does not take {sorted(kept)}: give them to the "
                "inner optimizer."
            )
        super().__init__(0.0, name=name)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps
        inner_optimizer.loss_scale_factor = None  # or gradients were scaled twice

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the factor, the counter and the slots of the inner optimizer."""
        if self.built:
            return
        self.step_counter = self.add_variable((), "zeros", "int32", "step_counter")
        self.dynamic_scale = self.add_variable((), "ones", "float32", "dynamic_scale")
        self.dynamic_scale.assign(self.initial_scale)
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """Own variables, then those of the inner optimizer."""
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self) -> Any:
        """That of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def iterations(self) -> Any:
        """Updates made so far; skipped steps do not count."""
        return self.inner_optimizer.iterations

    def _versions(self) -> Any:
        return (self._version, self.inner_optimizer._versions())

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Makes one step of the inner optimizer, or none; see `Optimizer.apply`."""
        if not grads:
            return
        variables = self._known(grads, trainable_variables)
        scale, count = self.dynamic_scale.value, self.step_counter.value
        found = [ops.all(ops.isfinite(g)) for g in grads if g is not None]
        finite = ops.all(ops.stack(found)) if found else ops.convert_to_tensor(True)
        inner = self.inner_optimizer
        touched = [*variables, *inner.variables]
        before = [variable.value for variable in touched]
        inner.apply(
            [None if g is None else g / ops.cast(scale, g.dtype) for g in grads],
            variables,
        )
        # Chosen value by value: a branch would end the plan of a training step.
        for variable, old in zip(touched, before, strict=True):
            variable.assign(ops.where(finite, variable.value, old))
        grows = ops.equal(count, self.dynamic_growth_steps - 1)
        grown = ops.where(grows, scale * 2.0, scale)
        self.dynamic_scale.assign(ops.where(finite, grown, scale * 0.5))
        again = ops.logical_or(grows, ops.logical_not(finite))
        self.step_counter.assign(ops.where(again, ops.zeros_like(count), count + 1))

    def scale_loss(self, loss: Any) -> Any:
        """`loss * scale`."""
        scale = self.dynamic_scale.value if self.built else self.initial_scale
        return ops.multiply(loss, scale)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> LossScaleOptimizer:
        inner = deserialize_keras_object(config["inner_optimizer"], custom_objects)
        return cls(**{**config, "inner_optimizer": inner})
