# SPDX-License-Identifier: Apache-2.0
"""The package onnx, imported when the first file is written or read."""

from __future__ import annotations

from typing import Any

import numpy as np


def onnx_package() -> Any:
    """The module `onnx`.

    Raises:
        ImportError: when it is not installed, naming the extra.
    """
    try:
        import onnx
    except ImportError:
        raise ImportError(
            "[onnx] reading and writing ONNX files needs the package onnx: "
            "pip install 'fastnn-dl[onnx]'"
        ) from None
    return onnx


# Names of dtypes that both sides have, as ONNX numbers them (TensorProto.DataType).
DTYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
    "bfloat16": 16,
}
NAMES = {number: name for name, number in DTYPES.items()}


def tensor_of(array: np.ndarray, name: str) -> Any:
    """An array as a TensorProto."""
    onnx = onnx_package()
    return onnx.TensorProto(
        name=name,
        dims=array.shape,
        data_type=DTYPES[array.dtype.name],
        raw_data=np.ascontiguousarray(array).tobytes(),
    )
