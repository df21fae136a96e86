# SPDX-License-Identifier: Apache-2.0
"""Tensors beside NumPy and whoever speaks DLPack or the buffer protocol."""

import hashlib
import io
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Variable, from_dlpack, function, ops
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import PlanError

DTYPES = ["float32", "float64", "float16", "int8", "int32", "int64", "uint8", "bool"]


def address(array: Any) -> int:
    return np.asarray(array).__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_dlpack_in_both_directions_without_a_copy(dtype: str) -> None:
    x = Tensor(np.arange(6).reshape(2, 3).astype(dtype))
    there = np.from_dlpack(x)
    assert address(there) == address(x)
    np.testing.assert_array_equal(there, x.numpy())
    back = from_dlpack(there)
    assert isinstance(back, Tensor) and back.dtype == dtype
    assert address(back) == address(x)


def test_a_strided_array() -> None:
    there = np.arange(12.0).reshape(3, 4).T
    here = from_dlpack(there)
    assert here.shape == (4, 3)
    assert address(here) == address(there)
    np.testing.assert_array_equal((here * 2.0).numpy(), 2 * there)


def test_tensors_of_torch() -> None:
    torch = pytest.importorskip("torch")
    there = torch.arange(6.0)
    assert address(from_dlpack(there)) == there.data_ptr()
    with pytest.raises(BufferError, match="in place"):
        from_dlpack(torch.zeros(2, dtype=torch.bfloat16))


def test_what_dlpack_cannot_do() -> None:
    with pytest.raises(TypeError, match="convert_to_tensor"):
        from_dlpack([1.0])

    class Elsewhere:
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("not in CPU memory")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(BufferError, match="in place"):
        from_dlpack(Elsewhere())


def test_lent_variables_keep_what_was_lent() -> None:
    v = Variable(np.ones(3, "f"))
    lent = [np.from_dlpack(v), memoryview(v), np.asarray(v)]
    function(lambda: v.assign(v * 5.0))()
    for array in lent:
        np.testing.assert_array_equal(np.asarray(array), np.ones(3))
    assert v.numpy().tolist() == [5.0] * 3


def test_the_buffer_is_the_memory_and_read_only() -> None:
    x = Tensor(np.arange(6, dtype="f").reshape(2, 3))
    view = memoryview(x)
    assert (view.shape, view.format, view.readonly) == ((2, 3), "f", True)
    assert address(np.asarray(view)) == address(x)
    assert hashlib.sha256(x).digest() == hashlib.sha256(x.numpy()).digest()
    assert not np.asarray(x).flags.writeable
    with pytest.raises((BufferError, TypeError), match=r"immutable|read-write"):
        io.BytesIO(bytes(8)).readinto(x)
    assert x.numpy().tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_while_tracing_there_is_nothing_to_lend() -> None:
    for lend in (memoryview, np.from_dlpack, np.asarray, hashlib.sha256):
        with pytest.raises((PlanError, TypeError, BufferError), match="trace"):
            function(lambda x, lend=lend: lend(x))(convert_to_tensor(1.0))


def test_numpy_functions_take_tensors_and_ours_take_arrays() -> None:
    x = np.array([[1.0, 4.0], [9.0, 16.0]])
    t = convert_to_tensor(x)
    assert isinstance(np.sqrt(t), np.ndarray)
    np.testing.assert_array_equal(np.sqrt(t), np.sqrt(x))
    found = ops.sqrt(x)
    assert isinstance(found, Tensor) and found.dtype == "float64"
    np.testing.assert_array_equal(np.array(t), t.numpy())
    for mixed in (x + t, t + x, x * t, x < t, x @ t):
        assert isinstance(mixed, Tensor)
    assert t.__array_namespace__() is fastnn.array_api
