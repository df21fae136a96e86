# SPDX-License-Identifier: Apache-2.0
"""What happens to gradients before an update: missing ones, clipping."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.autodiff import raw

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable


def unzipped(
    name: str, pairs: Iterable[tuple[Any, Variable]]
) -> tuple[list[Any], list[Variable]]:
    """Gradients and variables of pairs.

    Raises:
        ValueError: for what is no pair.
    """
    found = list(pairs)
    if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in found):
        raise ValueError(
            f"[{name}] apply_gradients takes pairs: write apply_gradients(zip("
            "gradients, variables)), or apply(gradients, variables)."
        )
    return [grad for grad, _ in found], [variable for _, variable in found]


def drop_missing(
    grads: Sequence[Any], variables: Sequence[Variable]
) -> tuple[list[Tensor], list[Variable]]:
    """Pairs whose gradient is not None, as two lists.

    Raises:
        ValueError: when none is left.
    """
    pairs = list(zip(grads, variables, strict=True))
    kept = [(grad, variable) for grad, variable in pairs if grad is not None]
    missing = [variable.path for grad, variable in pairs if grad is None]
    if not kept:
        raise ValueError(
            f"[apply_gradients] all gradients are None, for {missing}: the loss does "
            "not depend on these variables, or was computed outside the tape (NumPy's "
            "functions are; fastnn.ops are not)."
        )
    if missing:
        warnings.warn(
            f"Gradients do not exist for variables {missing}: the loss does not depend "
            "on them.",
            stacklevel=3,
        )
    return [grad for grad, _ in kept], [variable for _, variable in kept]


def clip_gradients(
    grads: list[Tensor],
    norm: float | None,
    global_norm: float | None,
    value: float | None,
) -> list[Tensor]:
    """Gradients clipped by the one limit that is given, if any."""
    if norm:
        return [_scaled(grad, _norm([grad]), norm) for grad in grads]
    if global_norm:
        together = _norm(grads)
        return [_scaled(grad, together, global_norm) for grad in grads]
    if value:
        return [ops.clip(grad, -value, value) for grad in grads]
    return grads


def _norm(grads: list[Tensor]) -> Tensor:
    total = ops.sum(raw.square_sums(grads[0]))
    for grad in grads[1:]:
        total = total + ops.cast(ops.sum(raw.square_sums(grad)), total.dtype)
    return ops.sqrt(total)


def _scaled(grad: Tensor, norm: Tensor, limit: float) -> Tensor:
    """A gradient of norm 0 stays 0; an infinite norm gives NaN, which shows in logs."""
    factor = limit / ops.maximum(norm, limit) + (norm - norm)
    return grad * ops.cast(factor, grad.dtype)
