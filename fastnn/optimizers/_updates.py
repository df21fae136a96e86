# SPDX-License-Identifier: Apache-2.0
"""One variable's update by an op, and the weight decay that goes with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.autodiff._tape import update
from fastnn.opset import get_op

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


def fuses_decay(update_step: Callable[..., None]) -> Callable[..., None]:
    """Marks an `update_step` that decays the weights itself, through `_apply_op`.

    The mark is on the function: a subclass with another `update_step` gets weights that
    have decayed already, as Keras promises it.
    """
    update_step.fuses_decay = True  # type: ignore[attr-defined]
    return update_step


def _of_dtype(value: Any, dtype: str) -> Any:
    """A gradient or rate in the dtype of what it updates."""
    return value if getattr(value, "_dtype", None) == dtype else ops.cast(value, dtype)


@lru_cache(256)
def _bound(name: str, **attrs: Any) -> tuple[Any, ...]:
    """Attributes of an op in the order of its record."""
    return get_op(name).bind_attrs((), attrs)


class UpdatesMixin:
    """Weight decay, and update ops for `Optimizer`."""

    name: str
    built: bool
    weight_decay: float | None
    _trainable_variables: list[Variable]
    _undecayed: set[Variable]
    _undecayed_names: str | None
    apply: Callable[[Sequence[Any]], None]
    _updates: Tensor | None

    def assign(self, variable: Variable, value: Any) -> None:
        """Assigns, unless gradients are only being accumulated in this step."""
        if self._updates is not None:
            value = ops.where(self._updates, value, variable.value)
        variable.assign(value)

    def _assigns(self) -> bool:
        """Whether `assign` puts in what it is given."""
        return self._updates is None and type(self).assign is UpdatesMixin.assign

    def assign_add(self, variable: Variable, value: Any) -> None:
        """`assign` of the sum."""
        self.assign(variable, variable.value + value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """`assign` of the difference."""
        self.assign(variable, variable.value - value)

    def _apply_op(
        self,
        op: Any,
        gradient: Tensor,
        variable: Variable,
        slots: Sequence[Variable],
        learning_rate: Any,
        *scalars: Any,
        **attrs: Any,
    ) -> None:
        """Assigns the variable and its slots what an update op makes of them."""
        dtype = variable._dtype
        inputs = (
            variable,
            _of_dtype(gradient, dtype),
            *slots,
            _of_dtype(learning_rate, dtype),
            *scalars,
        )
        attrs["weight_decay"] = self._fused_decay(variable)
        name: str = op.__name__
        if self._assigns() and update(get_op(name), inputs, _bound(name, **attrs)):
            return
        values = op(*inputs, **attrs)
        values = values if isinstance(values, tuple) else (values,)
        for target, value in zip((variable, *slots), values, strict=True):
            self.assign(target, value)

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """`apply` as a function of all variables, which stay as they are.

        Args:
            optimizer_variables: one value per variable of `variables`.
            grads: gradients.
            trainable_variables: one value per variable the optimizer was built with.

        Returns:
            (what the trainable variables become, what the optimizer's become).

        Raises:
            ValueError: before `build`, and for other numbers of values.
        """
        from fastnn.autodiff.stateless import called_with, results

        if not self.built:
            raise ValueError(
                f"[{self.name}] stateless_apply needs build(trainable_variables) first."
            )
        trained = list(self._trainable_variables)
        own: list[Variable] = self.variables  # type: ignore[attr-defined]
        scope = called_with(
            "stateless_apply",
            {
                "optimizer_variables": (own, optimizer_variables),
                "trainable_variables": (trained, trainable_variables),
            },
        )
        with scope:
            self.apply(grads)
        return results(scope, trained), results(scope, own)

    # -- weight decay ----------------------------------------------------------------

    def _fuses_decay(self) -> bool:
        return getattr(type(self).update_step, "fuses_decay", False)  # type: ignore[attr-defined]

    def _fused_decay(self, variable: Variable) -> float:
        """The decay that the variable's update op applies."""
        if not self.weight_decay:
            return 0.0
        if not self._fuses_decay() or not self._use_weight_decay(variable):
            return 0.0
        return float(self.weight_decay)

    def _decay_weights(self, variables: list[Variable], rate: Any) -> None:
        """Decays all weights before the updates, unless their ops do it."""
        if self.weight_decay is None or self._fuses_decay():
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                self._decay(variable, rate, self.weight_decay)

    def _decay(self, variable: Variable, rate: Any, decay: float) -> None:
        factor = ops.cast(rate, variable.dtype) * decay
        self.assign_sub(variable, variable.value * factor)

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Leaves variables out of the weight decay; another call replaces the choice.

        Args:
            var_list: variables.
            var_names: regular expressions searched in the names of variables.
        """
        self._undecayed = set(var_list or ())
        self._undecayed_names = "|".join(var_names) if var_names else None

    def _use_weight_decay(self, variable: Variable) -> bool:
        if variable in self._undecayed:
            return False
        names = self._undecayed_names
        return names is None or re.search(names, variable.path) is None
