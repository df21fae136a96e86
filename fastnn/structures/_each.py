# SPDX-License-Identifier: Apache-2.0
"""A Python function applied to every string."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff.tensor import Tensor
from fastnn.structures.ragged_convert import as_ragged_or_tensor
from fastnn.structures.ragged_tensor import RaggedTensor
from fastnn.structures.string_tensor import StringTensor, bytes_array, object_array


def strings_of(value: Any) -> Any:
    """A StringTensor or a RaggedTensor of strings.

    Raises:
        DTypeError: for values that are no strings.
    """
    if isinstance(value, RaggedTensor):
        value.with_flat_values(StringTensor(bytes_array(value.flat_values, "strings")))
        return value
    if isinstance(value, (list, tuple)) and any(hasattr(v, "to_list") for v in value):
        return as_ragged_or_tensor(list(value))
    return StringTensor(bytes_array(value, "strings"))


def each(function: Callable[[bytes], Any], value: Any, dtype: str = "string") -> Any:
    """What the function makes of every string, in the shape or the rows of `value`."""
    x = strings_of(value)
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(each(function, x.flat_values, dtype))
    made = [function(v) for v in x._array.reshape(-1)]
    if dtype == "string":
        return StringTensor(object_array(made, x.shape))
    return Tensor(np.array(made, dtype).reshape(x.shape))
