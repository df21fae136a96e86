# SPDX-License-Identifier: Apache-2.0
"""Matrix products as calls of cuBLAS, which the emulated device takes literally."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice

from fastnn.backends.cuda import rules
from fastnn.backends.cuda.cublas import COMPUTE_32F_FAST_TF32, library_call
from fastnn.backends.cuda.launches import Operand, Product, dense
from fastnn.opset import get_op

# (shape, strides in elements) of both factors
LAYOUTS = {
    "dense": (((5, 4), (4, 1)), ((4, 3), (3, 1))),
    "turned": (((5, 4), (1, 5)), ((4, 3), (1, 4))),
    "rows apart": (((5, 4), (9, 1)), ((4, 3), (1, 7))),
    "every other": (((5, 4), (8, 2)), ((4, 3), (6, 2))),
    "a row and a column": (((1, 4), (99, 1)), ((4, 1), (2, 50))),
    "one number": (((1, 1), (7, 5)), ((1, 1), (3, 2))),
    "a repeated row": (((5, 4), (0, 1)), ((4, 3), (3, 1))),
    "batch": (((2, 5, 4), (20, 4, 1)), ((2, 4, 3), (12, 3, 1))),
    "batch, one repeated": (((2, 5, 4), (20, 4, 1)), ((2, 4, 3), (0, 3, 1))),
    "batches cross": (((2, 3, 5, 4), (20, 0, 4, 1)), ((2, 3, 4, 3), (0, 12, 3, 1))),
    "batches turned": (((2, 3, 5, 4), (20, 40, 1, 5)), ((2, 3, 4, 3), (36, 12, 3, 1))),
}


def product(a, b, dtype):
    """The tasks for strided factors, run; and the factors as arrays."""
    device, kept, arrays = EmulatedDevice(), [], []
    rng = np.random.default_rng(0)
    op = get_op("matmul")

    def take(nbytes: int) -> int:
        kept.append(device.allocate(nbytes))
        return kept[-1].address

    ins = []
    for shape, strides in (a, b):
        count = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        flat = rng.normal(size=count).astype(dtype)
        address = take(flat.nbytes)
        device.upload(kept[-1], 0, flat)
        ins.append(Operand(address, dtype, shape, strides))
        steps = [s * flat.itemsize for s in strides]
        arrays.append(np.lib.stride_tricks.as_strided(flat, shape, steps))
    expected = np.matmul(*(x.astype("float64") for x in arrays))
    found = np.empty(expected.shape, dtype)
    out = dense(take(found.nbytes), dtype, expected.shape)
    memory = kept[-1]
    call = rules.Call(op, tuple(ins), (out,), (), take, lambda: take(8))
    tasks = rules.tasks(call)
    device.execute(tasks)
    device.download(memory, 0, found)
    return tasks, found, expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_factors_of_any_strides_give_their_product(name, dtype) -> None:
    _, found, expected = product(*LAYOUTS[name], dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "turned", "rows apart", "batch"])
def test_what_the_library_reads_in_place_is_not_copied(name) -> None:
    tasks, _, _ = product(*LAYOUTS[name], "float32")
    assert [type(t) for t in tasks] == [Product]


def test_tensor_cores_round_float32_only_where_asked() -> None:
    a, b, c = (dense(0, "float32", s) for s in ((2, 3), (3, 4), (2, 4)))
    exact, rounded = (library_call(Product(a, b, c), tf32=f) for f in (False, True))
    assert exact.compute != COMPUTE_32F_FAST_TF32
    assert rounded == exact._replace(compute=COMPUTE_32F_FAST_TF32)
    doubles = Product(*(x._replace(dtype="float64") for x in (a, b, c)))
    assert library_call(doubles, tf32=True) == library_call(doubles)
