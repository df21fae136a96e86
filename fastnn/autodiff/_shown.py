# SPDX-License-Identifier: Apache-2.0
"""How tensors and variables are printed: as TensorFlow prints them."""

from __future__ import annotations

from typing import Any


def _values(array: Any) -> str:
    """For `repr`: one number as it is, rows of a matrix on lines of their own."""
    text = repr(array.item() if array.ndim == 0 else array)
    return "\n" + text if "\n" in text else text


def described(t: Any) -> str:
    """`<tf.Tensor: shape=(), dtype=int32, numpy=42>`."""
    values = "symbolic" if t._array is None else f"numpy={_values(t._array)}"
    return f"<tf.Tensor: shape={t._shape}, dtype={t._dtype}, {values}>"


def printed(t: Any) -> str:
    """`tf.Tensor(42, shape=(), dtype=int32)`."""
    if t._array is None:
        return described(t)
    text = str(t._array)
    values = "\n" + text if "\n" in text else text
    return f"tf.Tensor({values}, shape={t._shape}, dtype={t._dtype})"


def variable(v: Any) -> str:
    """`<tf.Variable 'dense/bias:0' shape=(1,) dtype=float32, numpy=array(...)>`."""
    name = f"{v.path}:0"
    shape, dtype = v._shape, v._dtype
    return (
        f"<tf.Variable {name!r} shape={shape} dtype={dtype}, numpy={_values(v._array)}>"
    )
