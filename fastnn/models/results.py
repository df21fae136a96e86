# SPDX-License-Identifier: Apache-2.0
"""Results of metrics and predictions as users get them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import tree


def as_logs(results: dict[str, Any]) -> dict[str, Any]:
    """Results by name, sorted as Keras shows them: floats, arrays of several values."""
    return {name: as_log(results[name]) for name in sorted(results)}


def as_log(value: Any) -> Any:
    """A float, or the array when a metric has several values (F1 of each class)."""
    return np.array(value) if getattr(value, "shape", ()) else float(value)


def concatenate(parts: list[Any]) -> Any:
    """Batches of outputs as one array (or a structure of arrays)."""
    if len(parts) == 1:
        return parts[0]
    return tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
