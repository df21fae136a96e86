# SPDX-License-Identifier: Apache-2.0
"""`fastnn.backend`: dtypes by any name, promotion, settings."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import backend, config

FLOATS = ("float16", "bfloat16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        *((n, n) for n in ("bool", *FLOATS, *SIGNED, *UNSIGNED)),
        *((np.dtype(n), n) for n in ("bool", "float64", "uint16")),
        *((getattr(np, n), n) for n in ("float16", "int8", "uint64")),
        *((None, "float32"), (float, "float32"), (int, "int32"), (bool, "bool")),
        *(("int", "int32"), ("float", "float32")),
    ],
)
def test_dtypes_by_any_name(dtype: object, name: str) -> None:
    assert backend.standardize_dtype(dtype) == name
    assert backend.is_float_dtype(dtype) == (name in FLOATS)
    assert backend.is_int_dtype(dtype) == (name in SIGNED + UNSIGNED)


def test_dtypes_of_torch() -> None:
    torch = pytest.importorskip("torch")
    assert backend.standardize_dtype(torch.bfloat16) == "bfloat16"


@pytest.mark.parametrize("dtype", ["float31", "str", "object", 3, list, "complex64"])
def test_what_is_no_dtype_is_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match=r"\[standardize_dtype\] .* is no dtype"):
        backend.standardize_dtype(dtype)


@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        *(((), "float32"), ((None,), "float32"), ((int,), "int32")),
        *(((float,), "float32"), ((int, float), "float32"), ((bool, int), "int32")),
        *((("int8", int), "int8"), (("uint8", float), "float32")),
        *((("bfloat16", float), "bfloat16"), (("bfloat16", "float16"), "float32")),
        *((("int64", "float16"), "float16"), (("uint8", "int8"), "int16")),
        *((("uint32", "int32"), "int64"), (("uint64", "int8"), "float32")),
        *((("bool", "uint16"), "uint16"), (("float32", "float64", int), "float64")),
    ],
)
def test_promotion(dtypes: tuple, result: str) -> None:
    assert backend.result_type(*dtypes) == result
    assert backend.result_type(*dtypes[::-1]) == result


def test_settings_are_those_of_config() -> None:
    for name in ("backend", "epsilon", "floatx", "image_data_format", "set_floatx"):
        assert getattr(backend, name) is getattr(config, name)
    assert backend.is_keras_tensor(fastnn.KerasTensor((2,)))
    assert not backend.is_keras_tensor(fastnn.ops.ones(2))


def test_a_new_session_counts_from_the_start() -> None:
    backend.clear_session()
    assert [backend.get_uid("a") for _ in range(2)] == [1, 2]
    backend.clear_session(free_memory=False)
    assert backend.get_uid("a") == 1
