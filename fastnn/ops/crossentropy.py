# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies of one instance each: what the losses of that name average.

With `from_logits=True`, or when `output` still remembers the logits it was made from
(it comes from `softmax` or `sigmoid`), they are computed from the logits in one fused
kernel; probabilities alone are clipped to `[epsilon, 1 - epsilon]` first.
"""

from __future__ import annotations

from math import prod
from typing import Any

from fastnn import config
from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._promote import axis_of, to_float
from fastnn.ops.arrays import moveaxis

_INDEX_DTYPES = ("uint8", "int32", "int64")


def logits_of(output: Tensor, activation: str) -> Tensor | None:
    """The input of the `activation` that made `output`, or None."""
    kept = getattr(output, "_logits", None)
    return kept[1] if kept is not None and kept[0] == activation else None


def last_axis(x: Tensor, axis: int, name: str) -> Tensor:
    """x with an axis moved to the end."""
    a = axis_of(axis, x.ndim, name)
    return x if a == x.ndim - 1 else moveaxis(x, a, -1)


def clip_probabilities(p: Tensor) -> Tensor:
    """p within epsilon..1 - epsilon."""
    low = config.epsilon()
    return raw.minimum(raw.maximum(p, low), 1.0 - low)


def probabilities(output: Tensor) -> Tensor:
    """Rows scaled to sum 1, then kept away from 0 and 1."""
    total = raw.sum(output, (output.ndim - 1,), True)
    return clip_probabilities(raw.divide(output, total))


def _rows(x: Tensor) -> Tensor:
    return x if x.ndim == 2 else raw.reshape(x, (prod(x.shape[:-1]), x.shape[-1]))


def _pair(name: str, target: Any, output: Any, *, least: int) -> tuple[Tensor, Tensor]:
    z = to_float(output)
    t = integers.cast(convert_to_tensor(target), z.dtype)
    if t.shape != z.shape or z.ndim < least:
        raise ShapeError(
            f"[{name}] target and output must have one shape of rank {least} at least, "
            f"received {t.shape} and {z.shape}"
        )
    return t, z


def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-sum(target * log(output)) over the classes.

    Args:
        target: one-hot labels or probabilities, (..., classes).
        output: probabilities, which are scaled to sum 1, or logits; of that shape.
        from_logits: output has not passed through softmax.
        axis: the axis of the classes.

    Returns:
        The shape of output without `axis`.

    Raises:
        ShapeError: for shapes that differ.
    """
    name = "categorical_crossentropy"
    t, z = _pair(name, target, output, least=1)
    t, z = last_axis(t, axis, name), last_axis(z, axis, name)
    logits = z if from_logits else logits_of(z, "softmax")
    if logits is None:
        terms = raw.multiply(t, raw.log(probabilities(z)))
        return raw.negative(raw.sum(terms, (z.ndim - 1,), False))
    loss = raw.softmax_cross_entropy(_rows(logits), _rows(t))[0]
    return raw.reshape(loss, z.shape[:-1])


def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Tensor:
    """-log(output[target]).

    Args:
        target: class indices, of the shape of output without `axis`, or with 1 in the
            place of its last.
        output: probabilities, which are scaled to sum 1, or logits, (..., classes).
        from_logits: output has not passed through softmax.
        axis: the axis of the classes.

    Returns:
        The shape of output without `axis`. A target outside the classes gives NaN
        from logits and infinity from probabilities.

    Raises:
        ShapeError: where target has another shape.
    """
    name = "sparse_categorical_crossentropy"
    z = last_axis(to_float(output), axis, name)
    t, shape = convert_to_tensor(target), z.shape[:-1]
    if t.shape not in (shape, (*shape, 1)):
        raise ShapeError(
            f"[{name}] target must have shape {shape} or {(*shape, 1)} for output "
            f"{z.shape} with the classes last, received {t.shape}"
        )
    t = t if t.dtype in _INDEX_DTYPES else raw.cast(t, "int32")
    t = t if t.shape == shape else raw.reshape(t, shape)
    logits = z if from_logits else logits_of(z, "softmax")
    if logits is None:
        from fastnn.ops.indexing import one_hot

        hot = one_hot(t, z.shape[-1], dtype=z.dtype)
        terms = raw.multiply(hot, probabilities(z))
        return raw.negative(raw.log(raw.sum(terms, (z.ndim - 1,), False)))
    labels = t if t.ndim == 1 else raw.reshape(t, (t.size,))
    loss = raw.sparse_softmax_cross_entropy(_rows(logits), labels)[0]
    return raw.reshape(loss, shape)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """-target * log(output) - (1 - target) * log(1 - output), element by element.

    Args:
        target: 0, 1 or probabilities.
        output: probabilities, or logits, of the same shape.
        from_logits: output has not passed through sigmoid.

    Returns:
        The shape of output.

    Raises:
        ShapeError: for shapes that differ.
    """
    t, z = _pair("binary_crossentropy", target, output, least=0)
    logits = z if from_logits else logits_of(z, "sigmoid")
    if logits is not None:
        return raw.sigmoid_cross_entropy(logits, t)
    return binary_of_probabilities(t, z)


def binary_of_probabilities(target: Tensor, output: Tensor) -> Tensor:
    """`binary_crossentropy` of what is not looked at for logits."""
    p = clip_probabilities(output)
    rest = raw.multiply(raw.subtract(1.0, target), raw.log(raw.subtract(1.0, p)))
    return raw.negative(raw.add(raw.multiply(target, raw.log(p)), rest))


__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]
