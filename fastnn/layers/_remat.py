# SPDX-License-Identifier: Apache-2.0
"""Calls of layers that were made in a RematScope, or given to `remat`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastnn.autodiff.remat import RematScope, remat
from fastnn.layers import _call

if TYPE_CHECKING:
    from fastnn.layers.layer import Layer


def call(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`layer.call`, of which the scope says what is rematerialized."""
    scope = layer._remat_mode
    assert scope is not None
    if scope.mode == "activations":
        return _with_activation(layer, args, kwargs)
    if _chosen(layer, scope, args):
        return remat(layer.call)(*args, **kwargs)
    return layer.call(*args, **kwargs)


def _chosen(layer: Layer, scope: RematScope, args: tuple[Any, ...]) -> bool:
    if scope.mode == "list_of_layers":
        return layer.name in scope.layer_names
    if scope.mode == "larger_than":
        shapes = layer.compute_output_shape(_call.shapes_of(args[0]))
        return _size(shapes) > scope.output_size_threshold
    return scope.mode == "full"


def _size(shapes: Any) -> int:
    """Elements of one sample, over all outputs."""
    if _call.is_shape(shapes):
        return math.prod(shapes[1:])
    leaves = shapes.values() if isinstance(shapes, dict) else shapes
    return sum(_size(shape) for shape in leaves)


def _with_activation(layer: Layer, args: tuple[Any, ...], kwargs: Any) -> Any:
    """Only the activation is computed again."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return layer.call(*args, **kwargs)
    fields = layer.__dict__
    fields["activation"] = remat(activation)
    try:
        return layer.call(*args, **kwargs)
    finally:
        fields["activation"] = activation
