# SPDX-License-Identifier: Apache-2.0
"""The forms of a batch: x, (x,), (x, y) or (x, y, sample_weight)."""

from __future__ import annotations

from typing import Any


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) from x, (x,), (x, y) or (x, y, sample_weight).

    Raises:
        ValueError: for a tuple of another length.
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"[unpack_x_y_sample_weight] a batch must be x, (x,), (x, y) or (x, y, "
            f"sample_weight); received a tuple of {len(data)}."
        )
    return (*data, *(None,) * (3 - len(data)))


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """The shortest form that `unpack_x_y_sample_weight` takes apart again."""
    if y is None and sample_weight is None:
        return x if not isinstance(x, (tuple, list)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


__all__ = ["pack_x_y_sample_weight", "unpack_x_y_sample_weight"]
