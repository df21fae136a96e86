# SPDX-License-Identifier: Apache-2.0
"""Makes the public functions take symbolic and structured tensors: the one place.

A function that asks a KerasTensor for its values gets SymbolicTensorError, and then the
call becomes an operation of the model being described. Nothing is looked at beforehand,
so calls on tensors pay for a `try`, which is free, and at most a wrapper's frame.
String, ragged and sparse tensors (fastnn.structures) refuse in the same way, and are
then asked to run the function themselves: `__fastnn_function__(function, args, kwargs)`
of the first argument that has it, as NumPy's `__array_function__`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from fastnn import tree
from fastnn.errors import SymbolicTensorError

# They look at what a tensor is, or want its values.
_EXCEPT = frozenset({"convert_to_numpy", "is_tensor"})


def symbolic(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The result of a call that met such a tensor; inside `except` only."""
    for value in tree.flatten((args, kwargs)):
        run = getattr(value, "__fastnn_function__", None)
        if run is not None:
            return run(function, args, kwargs)
    from fastnn.symbolic.operation import call_symbolically

    return call_symbolically(function, args, kwargs)


def aware(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, taking symbolic tensors as well."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SymbolicTensorError:
            return symbolic(wrapper, args, kwargs)

    return wrapper


def make_aware(namespace: MutableMapping[str, Any], names: Sequence[str]) -> None:
    """Puts the aware form in place of each named function; aliases stay aliases.

    Those that ops.math makes from records are aware already, without a wrapper.
    """
    made: dict[int, Any] = {}
    for name in names:
        function = namespace[name]
        if name in _EXCEPT or hasattr(function, "takes_symbols"):
            continue
        if id(function) not in made:
            made[id(function)] = aware(function)
            made[id(function)].__module__ = namespace["__name__"]  # for pickle
        namespace[name] = made[id(function)]
