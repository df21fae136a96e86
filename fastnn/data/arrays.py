# SPDX-License-Identifier: Apache-2.0
"""Turns what users call data into NumPy arrays, or says why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.errors import DTypeError, ShapeError, SymbolicTensorError

# Dtypes that kernels read; the others are converted once.
_KEPT = {
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
}
_KEPT |= {"float32", "float64"}


def _has_array_protocol(value: Any) -> bool:
    return hasattr(value, "__array__")


def is_array_like(value: Any) -> bool:
    """True for an array, tensor, data frame, or nested list of plain numbers."""
    if _has_array_protocol(value):
        return True
    return isinstance(value, (list, tuple)) and not _holds_arrays(value)


def _holds_arrays(value: Any) -> bool:
    """True for a list, tuple or dict of arrays: several inputs, not one."""
    if isinstance(value, dict):
        return True
    if isinstance(value, (list, tuple)):
        return any(_holds_arrays(item) or _is_array(item) for item in value)
    return False


def _is_array(item: Any) -> bool:
    return _has_array_protocol(item) and not isinstance(item, np.generic)


def is_arrays(x: Any) -> bool:
    """True when `x` is in memory: an array, or a list, tuple or dict of arrays.

    Generators and other iterables of batches are not.
    """
    if is_array_like(x):
        return True
    if isinstance(x, dict):
        return bool(x) and all(is_arrays(item) for item in x.values())
    if isinstance(x, (list, tuple)):
        return bool(x) and all(is_arrays(item) for item in x)
    return False


def _text_columns(value: Any) -> str:
    """Names of the columns of a data frame that hold no numbers, for the message."""
    dtypes = getattr(value, "dtypes", None)
    if dtypes is None or not hasattr(value, "columns"):
        return ""
    names = [
        str(name)
        for name, dtype in zip(value.columns, dtypes, strict=True)
        if getattr(dtype, "kind", "O") not in "biuf"
    ]
    return f" Columns without numbers: {', '.join(names)}." if names else ""


def to_array(value: Any, what: str, where: str) -> np.ndarray:
    """One array of a dtype that kernels read; copies only when it must convert.

    Args:
        value: array, tensor, data frame, nested list of numbers.
        what: name of the argument, "x".
        where: name of the method, "fit".

    Raises:
        DTypeError: for text, objects, complex numbers or dates.
        ShapeError: for a scalar, or lists of unequal lengths.
    """
    try:
        array = np.asarray(value)
    except SymbolicTensorError:
        raise
    except ValueError as error:
        raise ShapeError(
            f"[{where}] {what} is a nested list whose rows have different lengths; "
            "pad them to one length."
        ) from error
    if array.dtype.kind not in "biuf":
        raise DTypeError(
            f"[{where}] {what} must hold numbers, received {type(value).__name__} of "
            f"dtype {array.dtype}.{_text_columns(value)}"
            f"{_conversion_hint(array, value, what)}"
        )
    if array.ndim == 0:
        raise ShapeError(
            f"[{where}] {what} must have a first axis that counts the samples; "
            f"received the scalar {array.item()!r}."
        )
    if array.dtype.name not in _KEPT:
        array = array.astype("float32" if array.itemsize < 4 else "float64")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _conversion_hint(array: np.ndarray, value: Any, what: str) -> str:
    if hasattr(value, "toarray"):
        return f" A sparse matrix becomes an array by {what}.toarray()."
    if array.dtype.kind in "OUS":
        try:
            array.astype("float32")
        except (TypeError, ValueError):
            frame = hasattr(value, "columns")
            how = f": pandas.get_dummies({what}) makes columns of 0 and 1"
            return f" Encode text as numbers first{how if frame else ''}."
        return f" Convert it by {what}.astype('float32')."
    return ""


def to_arrays(value: Any, what: str, where: str) -> Any:
    """`to_array` on each array of a structure; one array stays one array."""
    if value is None:
        return None
    if is_array_like(value):
        return to_array(value, what, where)
    if isinstance(value, dict):
        return {k: to_arrays(v, f"{what}[{k!r}]", where) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [to_arrays(v, f"{what}[{i}]", where) for i, v in enumerate(value)]
        return type(value)(items)
    raise DTypeError(
        f"[{where}] {what} must be an array, a list or a dict of arrays, or an "
        f"iterable of batches; received {type(value).__name__}."
    )


def named_arrays(value: Any, what: str) -> Iterator[tuple[str, np.ndarray]]:
    """("x", array), or ("x['left']", array) ... for a structure."""
    for path, leaf in tree.flatten_with_path(value):
        if leaf is not None:
            yield what + "".join(f"[{part!r}]" for part in path), leaf


def _stacked(parts: dict[str, Any]) -> str:
    """What to write for lists of more arrays than a model has inputs."""
    for name, value in parts.items():
        if isinstance(value, (list, tuple)) and len(value) > 2:
            return (
                " A list holds one array for each input; an array of samples is "
                f"np.stack({name})."
            )
    return ""


def check_lengths(parts: dict[str, Any], where: str) -> int:
    """Number of samples, the same in every array.

    Args:
        parts: argument name -> array, structure of arrays or None.
        where: name of the method, "fit".

    Raises:
        ShapeError: when the numbers differ or are zero.
    """
    found = [
        pair for what, value in parts.items() for pair in named_arrays(value, what)
    ]
    lengths = {array.shape[0] for _, array in found}
    shapes = ", ".join(f"{name} {array.shape}" for name, array in found[:6])
    if len(found) > 6:
        shapes += f" and {len(found) - 6} more"
    if not found:
        raise ShapeError(f"[{where}] no data was given.")
    if len(lengths) > 1:
        names = " and ".join(parts)
        raise ShapeError(
            f"[{where}] {names} must have the same number of samples; "
            f"received {shapes}.{_stacked(parts)}"
        )
    if lengths == {0}:
        raise ShapeError(f"[{where}] there are no samples; received {shapes}.")
    return int(lengths.pop())
