# SPDX-License-Identifier: Apache-2.0
"""What happens around `Layer.call`: the state of the running call, and its inputs."""

from __future__ import annotations

from _thread import _local
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops, tree
from fastnn._names import layer_depth, path_of
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError
from fastnn.layers.input_spec import format_shape
from fastnn.symbolic.tensor import KerasTensor

if TYPE_CHECKING:
    from fastnn.layers.layer import Layer

_FLOATS = ("float16", "bfloat16", "float32", "float64")


class CallState(_local):
    """State of the layer calls that run in this thread.

    Attributes:
        stack: the layers being built or called, outermost first.
        training: value of `training` that inner layers inherit.
    """

    def __init__(self) -> None:
        self.stack: list[Layer] = []
        self.training: bool | None = None

    def path(self) -> str:
        """Names of the layers on the stack, as paths of variables begin."""
        names = []
        for i, layer in enumerate(self.stack):
            again = i > 0 and layer is self.stack[i - 1]  # while it builds itself
            names.append("" if again else layer.name)
        return path_of(names)


state = CallState()
layer_depth[0] = lambda: len(state.stack)


def function_of(layer: Layer, tracer: Any) -> Callable[..., Any]:
    """`layer.call`; in a trace that asks for it with branches where tensors decide.

    Our own layers stay as they are.
    """
    if tracer is None or not tracer.autograph:
        return layer.call
    from fastnn.graph.autograph.convert import convert_inner

    found: Callable[..., Any] = convert_inner(layer.call)
    return found


@contextmanager
def inside(layer: Layer) -> Iterator[None]:
    """Paths of variables made meanwhile begin with the layer's."""
    state.stack.append(layer)
    try:
        yield
    finally:
        state.stack.pop()


@contextmanager
def training_as(training: bool | None) -> Iterator[None]:
    """Inner layers called meanwhile inherit `training`; None changes nothing."""
    outer = state.training
    if training is not None:
        state.training = training
    try:
        yield
    finally:
        state.training = outer


@cache
def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of a function's parameters, without `*args` and `**kwargs`.

    Reads the code object: `inspect` is too slow to import for that.
    """
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:
        return ()
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def takes_argument(function: Callable[..., Any], name: str) -> bool:
    """Whether a function names `name` among its parameters."""
    return name in parameters(function)


def describe(layer: Layer, inputs: Any) -> str:
    """The line that an error passing through a layer's call carries."""
    tensors = [x for x in tree.flatten(inputs) if isinstance(x, (Tensor, KerasTensor))]
    shapes = ", ".join(format_shape(x.shape) for x in tensors) or "nothing"
    return f"in {type(layer).__name__} '{layer.name}', called on {shapes}"


def _holds_arrays(value: Any) -> bool:
    return any(not np.isscalar(leaf) for leaf in tree.flatten(value))


def to_tensors(layer: Layer, value: Any) -> Any:
    """Arrays become tensors; float tensors get the dtype the layer computes in.

    A list or tuple of numbers is one array; a list, tuple or dict of arrays is kept as
    a structure of tensors.
    """
    if isinstance(value, Tensor):
        return _autocast(layer, value)
    if isinstance(value, Variable):
        return _autocast(layer, value.value)
    if isinstance(value, (list, tuple, dict)) and (
        isinstance(value, dict) or _holds_arrays(value)
    ):
        return tree.map_structure(lambda leaf: to_tensors(layer, leaf), value)
    if value is None:
        return None
    is_array = isinstance(value, (np.ndarray, list, tuple)) or hasattr(
        value, "__array__"
    )
    array = np.asarray(value) if is_array else None
    numbers = array is not None and (
        array.dtype.kind in "biuf" or array.dtype.name == "bfloat16"
    )
    if array is None or not numbers:
        received = type(value).__name__ if array is None else f"dtype {array.dtype}"
        raise DTypeError(
            f"[{type(layer).__name__}] layer '{layer.name}' expects arrays or tensors "
            f"of numbers; received {received}. Give options such as `training` "
            "by keyword."
        )
    dtype = layer.compute_dtype
    if array.dtype.kind == "f" and layer.autocast and dtype in _FLOATS:
        return convert_to_tensor(array, dtype=dtype)
    return _autocast(layer, convert_to_tensor(array))


def to_argument(layer: Layer, value: Any) -> Any:
    """A keyword argument of a call: arrays become tensors, other values stay."""
    if isinstance(value, (Tensor, np.ndarray)):
        return to_tensors(layer, value)
    if type(value) in (list, tuple):
        return type(value)([to_argument(layer, item) for item in value])
    return value


def _autocast(layer: Layer, tensor: Any) -> Any:
    dtype, wanted = tensor.dtype, layer.compute_dtype
    if dtype == wanted or dtype not in _FLOATS or wanted not in _FLOATS:
        return tensor
    if not layer.autocast:
        return tensor
    converted = ops.cast(tensor, wanted)
    if tensor._keras_mask is not None:
        converted._keras_mask = tensor._keras_mask
    return converted


def add_activity_losses(layer: Layer, outputs: Any) -> None:
    """Regularizes each output, per sample: the batch size changes nothing."""
    for output in tree.flatten(outputs):
        loss = layer.activity_regularizer(output)
        if output.shape:
            loss = loss * (1.0 / max(output.shape[0], 1))
        layer.add_loss(loss)


def open_shape(tensor: Any) -> tuple[int | None, ...]:
    """The tensor's shape with the batch axis left open."""
    return (None, *tensor.shape[1:]) if tensor.shape else ()


def shapes_of(inputs: Any) -> Any:
    """The open shape of one tensor, or the structure of shapes of several."""
    if isinstance(inputs, Tensor):
        return open_shape(inputs)
    return tree.map_structure(open_shape, inputs)


class Shapes(dict[str, Any]):
    """Shapes by the names of `build`'s parameters, where it has several."""


def bound_shapes(build: Any, shapes: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """What a `build` was called with: one shape, or several by their names."""
    if len(shapes) + len(named) <= 1:
        return next(iter((*shapes, *named.values())), None)
    given = zip(parameters(build)[1:], shapes, strict=False)
    return Shapes({**dict(given), **named})


def build_for(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Builds a layer for a call; `build(query_shape, value_shape)` gets the shapes of
    the arguments `query` and `value`.
    """
    names = parameters(type(layer).build)[1:]
    if len(names) < 2:
        layer.build(shapes_of(args[0]))
        return
    called = dict(zip(parameters(type(layer).call)[1:], args, strict=False)) | kwargs
    shapes = {names[0]: shapes_of(args[0])}
    for name in names:
        tensor = called.get(name.removesuffix("_shape"))
        if tensor is not None:
            shapes[name] = shapes_of(tensor)
    layer.build(**shapes)


def is_shape(node: Any) -> bool:
    """Whether a node of a structure of shapes is a shape itself."""
    return isinstance(node, (list, tuple)) and all(
        size is None or isinstance(size, int) for size in node
    )


def returned(layer: Any, outputs: Any) -> Any:
    """What a call gave.

    Raises:
        TypeError: for None.
    """
    if outputs is None:
        raise TypeError(
            f"[{type(layer).__name__}] '{layer.name}' returned None: end its `call` "
            "with `return outputs`."
        )
    return outputs


def probe_output_shape(layer: Layer, input_shape: Any) -> Any:
    """Output shape found by calling the layer on zeros, a batch of two.

    Raises:
        ShapeError: when an axis besides the batch is unknown.
    """
    outputs = returned(layer, layer(_zeros(layer, input_shape)))
    return tree.map_structure(
        lambda y: (None if y.shape[:1] == (2,) else y.shape[0], *y.shape[1:]), outputs
    )


def _zeros(layer: Layer, node: Any) -> Any:
    """A batch of two of the layer's inputs, in the structure of their shapes."""
    if isinstance(node, dict):
        return {key: _zeros(layer, shape) for key, shape in node.items()}
    if not is_shape(node):
        return [_zeros(layer, shape) for shape in node]
    if None in node[1:]:
        raise ShapeError(
            f"[{type(layer).__name__}] cannot infer the output shape of layer "
            f"'{layer.name}' for input shape {format_shape(node)}; implement "
            "compute_output_shape(self, input_shape)."
        )
    return np.zeros((2, *node[1:]), layer.compute_dtype)
