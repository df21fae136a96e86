# SPDX-License-Identifier: Apache-2.0
"""Metric: numbers accumulated over batches in variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config as _config
from fastnn import initializers, ops
from fastnn._allowance import check_state
from fastnn._names import auto_name
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.errors import warn_renamed
from fastnn.losses.base import pair, same_rank
from fastnn.opset._dtypes import FLOATS
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.stateless import StatelessScope

# Sums and counts are kept in float64: float32 stops counting at 2**24 instances.
ACCUMULATOR = "float64"


@export("keras.metrics", "keras")
class Metric:
    """Base of metrics: define `update_state` and `result`.

    Variables and metrics assigned to attributes are tracked, as are those made by
    `add_variable`. `update_state` is traced into the compiled step, so it must use
    `fastnn.ops` and `Variable.assign_add` only.

    Args:
        dtype: dtype of the result, default `floatx()`.
        name: shown in logs.
    """

    # "up" or "down": where the metric goes when the model gets better.
    _direction: str | None = None

    def __init__(self, dtype: str | None = None, name: str | None = None) -> None:
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []
        self.name = name or auto_name(type(self).__name__)
        self._dtype = dtype or _config.floatx()

    def __setattr__(self, name: str, value: Any) -> None:
        tracked = self.__dict__
        if isinstance(value, Variable) and "_variables" in tracked:
            if all(value is not known for known in tracked["_variables"]):
                tracked["_variables"].append(value)
        elif isinstance(value, Metric) and "_metrics" in tracked:
            tracked["_metrics"].append(value)
        super().__setattr__(name, value)

    @property
    def dtype(self) -> str:
        """Dtype of the result."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of tracked metrics last."""
        nested = [v for metric in self._metrics for v in metric.variables]
        return [*self._variables, *nested]

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: str | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """Makes a tracked variable.

        Args:
            shape: shape.
            initializer: name or initializer, default zeros.
            dtype: default `floatx()`.
            aggregation: how replicas would be merged; there is one.
            name: last part of the variable's path.
        """
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"[{type(self).__name__}] call super().__init__() before add_variable."
            )
        dtype = dtype or _config.floatx()
        shape = tuple(shape)
        check_state(8 * math.prod(shape), f"metric '{self.name}'")
        if initializer in (None, "zeros"):
            value = np.zeros(shape, dtype)  # also while a function is traced
        else:
            value = initializers.get(initializer)(shape, dtype=dtype)
        variable = Variable(value, trainable=False, dtype=dtype, name=name)
        variable.autocast = False
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_weight(
        self,
        shape: Sequence[int] | str = (),
        initializer: Any = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """`add_variable`, with Keras 2's order `add_weight(name, ...)` accepted too."""
        if isinstance(shape, str):
            warn_renamed(
                f'add_weight("{shape}", ...)', f'add_weight(name="{shape}", ...)'
            )
            return self.add_variable((), initializer, dtype, name=shape)
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Adds a batch to the state."""
        raise NotImplementedError(f"[{type(self).__name__}] must define update_state.")

    def result(self) -> Any:
        """The value so far: a tensor, or a dict of tensors."""
        raise NotImplementedError(f"[{type(self).__name__}] must define result.")

    def reset_state(self) -> None:
        """Sets all variables to 0."""
        for variable in self.variables:
            variable._clear()

    def reset_states(self) -> None:
        """Old spelling of `reset_state`."""
        warn_renamed("reset_states()", "reset_state()")
        self.reset_state()

    # -- without side effects --------------------------------------------------------

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """What `update_state` makes of the values given for `variables`."""
        from fastnn.autodiff.stateless import results

        scope = self._stateless("stateless_update_state", metric_variables)
        with scope:
            self.update_state(*args, **kwargs)
        return results(scope, self.variables)

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """`result` for the values given for `variables`."""
        with self._stateless("stateless_result", metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """Values of `variables` to begin with."""
        from fastnn.autodiff.stateless import StatelessScope, results

        with StatelessScope() as scope:
            self.reset_state()
        return results(scope, self.variables)

    def _stateless(self, what: str, values: Sequence[Any]) -> StatelessScope:
        from fastnn.autodiff.stateless import called_with

        return called_with(what, {"metric_variables": (self.variables, values)})

    # -- use -------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Updates the state, then returns `result()`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def matching(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """`pair` for metrics: columns count as vectors, (n, 1) as (n,), as in Keras.

    Losses refuse these. Nothing is broadcast here, so no result can be wrong.

    Raises:
        ShapeError: when the shapes differ otherwise.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return pair(name, *same_rank(y_true, y_pred))


def safe_divide(a: Any, b: Any) -> Tensor:
    """`a / b`, and 0 where `b` is 0."""
    nothing = ops.equal(b, 0.0)
    return ops.where(nothing, 0.0, a / ops.where(nothing, 1.0, b))


def quotient(total: Variable, count: Variable, dtype: str) -> Tensor:
    """`safe_divide` of two numbers, cast.

    Outside of functions and tapes without the five ops, and without a look at the
    variables that makes the next step of a plan copy them: of `fit`'s time for an epoch
    of 90 steps of 6 us that was a tenth.
    """
    now = state()
    if now.tracer is not None or now.tapes or dtype not in FLOATS[:2]:
        return ops.cast(safe_divide(total.value, count.value), dtype)
    x, y = total._array, count._array
    return Tensor(np.asarray(x / y if y else 0.0, dtype))
