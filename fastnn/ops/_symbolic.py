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
from collections.abc import Callable
from types import ModuleType
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


@functools.cache
def aware(function: Any, module: str) -> Any:
    """A public function of `module`, taking symbolic tensors as well.

    Those that ops.pointwise makes from records are aware already, without a wrapper.
    """
    if isinstance(function, ModuleType):
        return function
    if function.__name__ in _EXCEPT or hasattr(function, "takes_symbols"):
        return function

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SymbolicTensorError:
            return symbolic(wrapper, args, kwargs)

    wrapper.__module__ = module  # for pickle
    return wrapper
