# SPDX-License-Identifier: Apache-2.0
"""Calls of layers on symbolic tensors: what comes out, and the record of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import tree
from fastnn.errors import PlanError, ShapeError
from fastnn.layers import _call, _masks
from fastnn.layers.input_spec import check_inputs
from fastnn.symbolic.infer import infer
from fastnn.symbolic.node import record
from fastnn.symbolic.tensor import KerasTensor, symbolic_leaves

if TYPE_CHECKING:
    from fastnn.layers.layer import Layer

_FLOATS = ("float16", "bfloat16", "float32", "float64")


def holds_symbols(kwargs: dict[str, Any]) -> bool:
    """Whether an argument is symbolic, or holds something symbolic."""
    return bool(symbolic_leaves(kwargs))


def call(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Builds the layer if needed and records the call; gives symbolic outputs."""
    inputs = args[0] if args else None
    try:
        if not layer.built:
            layer._build_for(args, kwargs)
        if layer.input_spec is not None:
            check_inputs(layer, layer.input_spec, tree.flatten(inputs))
        # Masks are no arguments of the recorded call: a model finds them anew.
        filled = dict(kwargs)
        mask = _masks.given(layer, args, filled)
        own = type(layer).__module__.startswith("fastnn.")
        outputs = layer.compute_output_spec(*args, **(kwargs if own else filled))
    except Exception as error:
        error.add_note(_call.describe(layer, inputs))
        raise
    outputs = record(layer, args, kwargs, outputs)
    if mask is not None or layer._makes_masks:
        _masks.hand_on(layer, inputs, outputs, mask)
    return outputs


def specs_by_rule(layer: Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Outputs by the layer's `compute_output_shape`.

    The dtype is the one the layer computes in. None where that may be wrong: for
    inputs that are no floats, further arguments, and layers of users, which may do
    anything.
    """
    tensors = symbolic_leaves(args, kwargs)
    own = type(layer).__module__.startswith("fastnn.")
    floats = all(tensor.dtype in _FLOATS for tensor in tensors)
    if not (own and floats and len(args) == 1 and not set(kwargs) - {"training"}):
        return None
    return by_rule(layer, args[0])


def by_rule(layer: Layer, inputs: Any) -> Any:
    """Symbolic outputs of the shapes that `compute_output_shape` gives."""
    shapes = tree.map_structure(lambda tensor: tensor.shape, inputs)
    return tree.map_shape_structure(
        lambda shape: KerasTensor(shape, layer.compute_dtype),
        layer.compute_output_shape(shapes),
    )


def specs_by_trace(layer: Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Outputs found by tracing the call, which computes nothing."""
    try:
        return infer(layer, args, kwargs)
    finally:
        layer._clear_losses()  # what `call` added belongs to the trace


def specs(layer: Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Symbolic outputs; see `Layer.compute_output_spec`."""
    from fastnn.layers.layer import Layer

    ruled = type(layer).compute_output_shape is not Layer.compute_output_shape
    if ruled and (found := specs_by_rule(layer, args, kwargs)) is not None:
        return found
    try:
        return specs_by_trace(layer, args, kwargs)
    except PlanError:  # `call` looks at values
        if len(args) == 1 and not holds_symbols(kwargs):
            try:
                return by_rule(layer, args[0])
            except ShapeError:
                pass
        raise
