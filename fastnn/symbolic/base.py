# SPDX-License-Identifier: Apache-2.0
"""Operation: what can be called on tensors and on symbolic tensors."""

from __future__ import annotations

from typing import Any

from fastnn._names import auto_name
from fastnn._registry import export
from fastnn.symbolic.configs import automatic_config
from fastnn.symbolic.infer import infer
from fastnn.symbolic.node import Calls, CallsMixin, record
from fastnn.symbolic.tensor import symbolic_leaves


@export("keras")
class Operation(CallsMixin):
    """Base of layers and of functions in functional models; has no weights.

    A subclass defines `call`. On tensors the operation is its `call`; on symbolic
    tensors the call is recorded, and `Model(inputs, outputs)` finds it.

    Args:
        name: unique name; by default the class's name in snake case, numbered.

    Raises:
        ValueError: for a name that is no string, or has a "/".

    Example:
        >>> class Shift(keras.Operation):
        ...     def call(self, x):
        ...         return x + 1.0
        >>> Shift()(keras.Input((3,))).shape
        (None, 3)
    """

    _init_arguments: Any

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self._init_arguments = args, kwargs
        return self

    def __init__(self, name: str | None = None) -> None:
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"[{type(self).__name__}] name must be a string without '/', received "
                f"{name!r}."
            )
        self.name = name or auto_name(type(self).__name__)
        self._calls = Calls()

    def __repr__(self) -> str:
        return f"<Operation name={self.name}>"

    @property
    def _class_name(self) -> str:
        """Name of the class, as summaries and pictures show it."""
        return type(self).__name__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if symbolic_leaves(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError(
            f"[{type(self).__name__}] implement call(self, inputs), the function of "
            "the operation."
        )

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Records the call; the symbolic outputs are returned."""
        return record(self, args, kwargs, self.compute_output_spec(*args, **kwargs))

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors for the results of a call, found by tracing it."""
        return infer(self.call, args, kwargs)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make this operation again.

        A subclass whose arguments are plain values needs no `get_config`.

        Raises:
            NotImplementedError: where an argument is an object.
        """
        base = {"name": self.name}
        cls = type(self)
        if cls.get_config is not Operation.get_config:
            return base
        takes_name = "name" in _arguments(cls)
        return automatic_config(self, self._init_arguments, base if takes_name else {})

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes an operation from what `get_config` returned."""
        return cls(**config)


def _arguments(cls: type) -> set[str]:
    """Names that the constructor takes; `name` where it takes any."""
    import inspect

    parameters = inspect.signature(cls).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {*parameters, *(("name",) if anything else ())}
