# SPDX-License-Identifier: Apache-2.0
"""Derivatives of many numbers by many: one backward pass for each of the targets."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import tree
from fastnn.autodiff import raw
from fastnn.autodiff.grad import GradientTape, grad
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Callable


def jacobian(
    tape: GradientTape, target: Any, sources: Any, unconnected_gradients: str = "none"
) -> Any:
    """See `GradientTape.jacobian`."""
    y = convert_to_tensor(target)
    shape, leaves = y.shape, tree.flatten(sources)
    rows: list[list[Tensor | None]] = []
    with tape.kept():
        for i in range(max(y.size, 1)):
            seed = np.zeros(max(y.size, 1), y.dtype)
            seed[i] = y.size > 0
            dy = Tensor(seed[: y.size].reshape(shape))
            rows.append(tape.gradient(y, leaves, dy, unconnected_gradients))
    found: list[Tensor | None] = []
    for column, source in zip(zip(*rows, strict=True), leaves, strict=True):
        found.append(_stacked(column, y.size, (*shape, *source.shape)))
    return tree.pack_sequence_as(sources, found)


def _stacked(
    rows: tuple[Tensor | None, ...], count: int, shape: tuple[int, ...]
) -> Tensor | None:
    """Rows of a Jacobian as one tensor; None where nothing is connected."""
    known = [row for row in rows if row is not None]
    if not known:
        return None
    zero = Tensor(np.zeros(known[0].shape, known[0].dtype))
    tall = [raw.reshape(zero if r is None else r, (1, *zero.shape)) for r in rows]
    return raw.reshape(_joined(tall[:count] or [_nothing(zero)]), shape)


def _nothing(like: Tensor) -> Tensor:
    return Tensor(np.zeros((0, *like.shape), like.dtype))


def _joined(parts: list[Tensor]) -> Tensor:
    """Along the leading axis, by halves: each element is copied log2(n) times."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        rest = parts[len(parts) & ~1 :]
        parts = [raw.concatenate(a, b, axis=0) for a, b in pairs] + rest
    return parts[0]


def batch_jacobian(
    tape: GradientTape, target: Any, source: Tensor, unconnected_gradients: str = "none"
) -> Tensor | None:
    """See `GradientTape.batch_jacobian`."""
    y = convert_to_tensor(target)
    if not y.ndim or not source.ndim or y.shape[0] != source.shape[0]:
        raise ShapeError(
            f"[GradientTape.batch_jacobian] target {y.shape} and source {source.shape} "
            f"must have the same number of rows"
        )
    rows, count = y.shape[0], prod(y.shape[1:])
    found: list[Tensor | None] = []
    with tape.kept():
        for i in range(max(count, 1)):  # without targets: to know what is connected
            seed = np.zeros((rows, count), y.dtype)
            seed[:, i : i + 1] = 1
            dy = Tensor(seed.reshape(y.shape))
            found.append(tape.gradient(y, source, dy, unconnected_gradients))
    shape = (count, *source.shape)
    tall = _stacked(tuple(found), count, shape)
    if tall is None:
        return None
    turned = raw.transpose(tall, (1, 0, *range(2, len(shape))))
    return raw.reshape(turned, (*y.shape, *source.shape[1:]))


def hessian(
    fun: Callable[..., Any], argnums: int | tuple[int, ...] = 0
) -> Callable[..., Any]:
    """The function of the second derivatives of a scalar function of tensors.

    Args:
        fun: takes tensors, returns a scalar.
        argnums: the argument, or several, to differentiate by.

    Returns:
        A function of fun's arguments: a tensor of shape (*x.shape, *x.shape) for one
        argument; for several a tuple of tuples, [i][j] of shape (*x_i.shape,
        *x_j.shape). Zeros where nothing is connected.

    Raises:
        ValueError: when `fun` does not return a scalar.
    """
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        values = list(args)
        for i in numbers:
            values[i] = convert_to_tensor(values[i])
        sources = [values[i] for i in numbers]
        with GradientTape(persistent=True) as tape:
            tape.watch(sources)
            first = grad(fun, numbers)(*values, **kwargs)
        found = tuple(
            tuple(_second(tape, g, x, s) for s in sources)
            for g, x in zip(first, sources, strict=True)
        )
        return found[0][0] if isinstance(argnums, int) else found

    return wrapped


def _second(tape: GradientTape, g: Tensor | None, x: Tensor, s: Tensor) -> Tensor:
    shape = (*x.shape, *s.shape)
    found = None if g is None else tape.jacobian(g, s)
    return Tensor(np.zeros(shape, s.dtype)) if found is None else found
