# SPDX-License-Identifier: Apache-2.0
"""Forward-mode products through the reverse-mode tape.

The gradient of f for a cotangent u is J^T u, linear in u; its derivative in u, taken
for the cotangent t, is J t. So two passes backward make one forward, for everything
that has a `vjp`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import tree
from fastnn.autodiff import raw
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._dtypes import is_float


def _operands(primals: Any, tangents: Any) -> tuple[Any, list[Tensor], list[Tensor]]:
    """primals as tensors in their structure, and the leaves of both."""
    if not isinstance(primals, (tuple, list)) or not isinstance(
        tangents, (tuple, list)
    ):
        raise TypeError(
            f"[jvp] primals and tangents must be tuples or lists, one entry per "
            f"argument; received {type(primals).__name__} and {type(tangents).__name__}"
        )
    tree.assert_same_structure(primals, tangents)
    given = tree.map_structure(lambda t: _again(convert_to_tensor(t)), primals)
    leaves = tree.flatten(given)
    directions = []
    for x, t in zip(leaves, tree.flatten(tangents), strict=True):
        if not is_float(x.dtype):
            raise DTypeError(f"[jvp] primals must be floats, received {x.dtype}")
        direction = convert_to_tensor(t, x.dtype)
        if direction.shape != x.shape:
            raise ShapeError(
                f"[jvp] a tangent of shape {direction.shape} for a primal of {x.shape}"
            )
        directions.append(direction)
    return given, leaves, directions


def _again(x: Tensor) -> Tensor:
    """A tensor of its own, so that the same one may be given twice."""
    return raw.reshape(x, x.shape)


def jvp(fun: Any, primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """`fun(*primals)` and how it changes along tangents: its Jacobian times these.

    Args:
        fun: function of tensors, or structures of tensors, that gives such; made of
            differentiable ops.
        primals: tuple or list of its arguments, floats.
        tangents: the same structure, shapes and dtypes: a direction for each.
        has_aux: fun gives (output, anything); only the output is differentiated.

    Returns:
        (output, tangents of the output), and what else fun gave with `has_aux`. Where
        an output does not depend on primals its tangent is zero.

    Raises:
        TypeError: for primals or tangents that are neither tuple nor list.
        ShapeError: for tangents of other shapes; DTypeError: for primals that are no
            floats.
    """
    arguments, leaves, directions = _operands(primals, tangents)
    aux = None
    outer = GradientTape(watch_accessed_variables=False)
    with outer:
        inner = GradientTape(watch_accessed_variables=False)
        with inner:
            inner.watch(leaves)
            result = fun(*arguments)
        if has_aux:
            result, aux = result
        output = tree.map_structure(convert_to_tensor, result)
        outputs = tree.flatten(output)
        floats = [y for y in outputs if is_float(y.dtype)]
        seeds = [Tensor(np.zeros(y.shape, y.dtype)) for y in floats]
        outer.watch(seeds)
        grads = inner.gradient(floats, leaves, output_gradients=seeds)
    found = [(g, t) for g, t in zip(grads, directions, strict=True) if g is not None]
    moved = outer.gradient(
        [g for g, _ in found], seeds, output_gradients=[t for _, t in found]
    )
    along = iter(moved)
    out = []
    for y in outputs:
        change = next(along) if is_float(y.dtype) else None
        out.append(Tensor(np.zeros(y.shape, y.dtype)) if change is None else change)
    pair = output, tree.pack_sequence_as(output, out)
    return (*pair, aux) if has_aux else pair
