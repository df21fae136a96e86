# SPDX-License-Identifier: Apache-2.0
"""bfloat16 and float16: every kernel computes on them in float32 and rounds once."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from op_cases import KERNEL_OPS, OPS, narrowed, run, samples

import fastnn
from fastnn import _core, ops
from fastnn.autodiff import raw
from fastnn.autodiff._launch import encode_attrs
from fastnn.opset._dtypes import HALVES, result_type
from fastnn.opset._opdef import UPDATE

# Overflow to infinity is meant, and ml_dtypes warns of NaN.
pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in cast:RuntimeWarning")
DTYPE = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def _names() -> list[str]:
    """Ops that take floats and choose the dtype of their results by them."""
    return [
        name
        for name in KERNEL_OPS
        if OPS[name].inputs
        and OPS[name].kind != UPDATE
        and not any(attr.name == "dtype" for attr in OPS[name].attrs)
    ]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", _names())
def test_kernels_compute_in_float32_and_round_once(name: str, half: str) -> None:
    op = OPS[name]
    for sample in samples(op, "float32"):
        if not any(a.dtype == np.float32 for a in sample.inputs):
            continue
        narrow = tuple(
            a.astype(DTYPE[half]) if a.dtype == np.float32 else a for a in sample.inputs
        )
        wide = tuple(
            a.astype(np.float32) if a.dtype == DTYPE[half] else a for a in narrow
        )
        message = f"{name} {half} {[a.shape for a in narrow]} {sample.attrs}"
        for got, exact in zip(
            run(op, narrow, sample.attrs), run(op, wide, sample.attrs), strict=True
        ):
            floats = exact.dtype == np.float32 and got.dtype != np.float32
            expected = exact.astype(DTYPE[half]) if floats else exact
            assert got.dtype == expected.dtype, message
            # vdpbf16ps flushes denormals, and a CPU may round its sums once per pair.
            native = name in PRODUCTS and half == "bfloat16" and _has_bf16()
            np.testing.assert_allclose(
                got.astype(np.float64),
                expected.astype(np.float64),
                rtol=2.0**-7 if native else 0,
                atol=1e-5 if native else 0,
                err_msg=message,
            )


PRODUCTS = ("matmul", "linear", "linear_grad_input")


def _has_bf16() -> bool:
    return _core.isa() == "avx512" and _core.cpu_supports("avx512bf16")


@pytest.mark.parametrize(
    "shape", [(1, 3, 5), (17, 64, 50), (33, 785, 70), (8, 3300, 9)]
)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)])
def test_bfloat16_products_are_within_the_bound_of_a_float32_sum(
    shape: tuple[int, int, int], transposed: tuple[bool, bool]
) -> None:
    """k roundings of float32 and one to bfloat16, whichever instructions do it."""
    m, k, n = shape
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    a, b = a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)
    views = [
        np.ascontiguousarray(t.T).T if flip else t
        for t, flip in zip((a, b), transposed, strict=True)
    ]
    got = raw.matmul(*map(fastnn.convert_to_tensor, views)).numpy().astype(np.float64)
    wide = a.astype(np.float64), b.astype(np.float64)
    exact, size = wide[0] @ wide[1], np.abs(wide[0]) @ np.abs(wide[1])
    assert np.all(np.abs(got - exact) <= k * 2.0**-24 * size + 2.0**-8 * np.abs(exact))


def _hard_floats() -> np.ndarray:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    halves = np.arange(2**16, dtype=np.uint32) << 16
    ties = np.concatenate([halves + 0x7FFF, halves + 0x8000, halves + 0x8001])
    wide = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    with np.errstate(all="ignore"):
        between = (wide[:-1].astype(np.float64) + wide[1:]) / 2
        exact = between.astype(np.float32)
        near = [np.nextafter(exact, np.float32(s)) for s in (-np.inf, np.inf)]
    floats = np.concatenate([bits, halves, ties]).view(np.float32)
    return np.concatenate([floats, wide, exact, *near])


@pytest.mark.parametrize("half", HALVES)
def test_casts_round_to_nearest_even(half: str) -> None:
    x = _hard_floats()
    with np.errstate(all="ignore"):
        expected = x.astype(DTYPE[half])
    got = raw.cast(fastnn.convert_to_tensor(x), half).numpy()
    nan = np.isnan(x)
    assert np.isnan(got.astype(np.float32))[nan].all()
    np.testing.assert_array_equal(
        got[~nan].view(np.uint16), expected[~nan].view(np.uint16)
    )


@pytest.mark.parametrize("half", HALVES)
def test_every_value_widens_exactly(half: str) -> None:
    x = np.arange(2**16, dtype=np.uint16).view(DTYPE[half])
    for target in ("float32", "float64"):
        got = raw.cast(fastnn.convert_to_tensor(x), target).numpy()
        np.testing.assert_array_equal(got, x.astype(target))


@pytest.mark.parametrize("half", HALVES)
def test_threads_and_plans_give_the_same_bits(half: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(257, 300)).astype(DTYPE[half])
    w = rng.normal(size=(300, 200)).astype(DTYPE[half])

    def model(a, b):
        y = ops.relu(ops.matmul(a, b))
        return ops.sum(ops.exp(ops.multiply(y, 0.01)), axis=1)

    threads = fastnn.config.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            fastnn.config.set_num_threads(count)
            results += [model(x, w).numpy(), fastnn.function(model)(x, w).numpy()]
    finally:
        fastnn.config.set_num_threads(threads)
    assert results[0].dtype == DTYPE[half]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].view(np.uint16), other.view(np.uint16))


ROW_OWNERS = [row["name"] for row in _core.kernels() if row["split"] == "rows"]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", [n for n in KERNEL_OPS if n in ROW_OWNERS])
def test_teams_give_the_bits_of_one_thread(name: str, half: str) -> None:
    op = OPS[name]
    threads = fastnn.config.get_num_threads()
    try:
        _core.set_pacing(False)
        for wide in samples(op, "float32"):
            given, options = narrowed(wide, half)
            like = run(op, given, options)
            attrs = encode_attrs(op, options)
            shape = like[0].shape
            inputs = [
                np.broadcast_to(a, op.operand_shape(a.shape, shape)) for a in given
            ]
            results = []
            for count in (1, 2, 3):
                fastnn.config.set_num_threads(count)
                out = [np.full_like(e, 7) for e in like]
                _core.launch(name, inputs, out, attrs, 1e9)
                results.append([o.tobytes() for o in out])
            message = f"{name} {half} {[a.shape for a in given]} {options}"
            assert results[0] == results[1] == results[2], message
    finally:
        fastnn.config.set_num_threads(threads)
        _core.set_pacing(True)


@pytest.mark.parametrize("half", HALVES)
def test_products_accumulate_in_float32(half: str) -> None:
    """A sum in the storage dtype would stop growing at 2^8 or 2^11."""
    n = 5000
    x = fastnn.convert_to_tensor(np.ones((3, n), DTYPE[half]))
    y = ops.matmul(x, ops.transpose(x))
    np.testing.assert_array_equal(y.numpy(), np.full((3, 3), n).astype(DTYPE[half]))
    assert float(ops.cast(ops.sum(x), "float32").numpy()) == DTYPE[half](3 * n)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("bfloat16", "bfloat16"), "bfloat16"),
        (("bfloat16", "float16"), "float32"),
        (("bfloat16", "float32"), "float32"),
        (("float16", "float64"), "float64"),
        (("bfloat16", "int64"), "bfloat16"),
        (("int32", "float16"), "float16"),
        (("bool", "bfloat16"), "bfloat16"),
    ],
)
def test_promotion(dtypes: tuple[str, str], expected: str) -> None:
    assert result_type(*dtypes) == result_type(*dtypes[::-1]) == expected
    a, b = (ops.ones((2, 3), dtype=d) for d in dtypes)
    y = ops.add(a, b)
    assert y.dtype == expected
    assert ops.multiply(a, 2).dtype == (dtypes[0] if dtypes[0] != "bool" else "int32")


@pytest.mark.parametrize("half", HALVES)
def test_gradients_keep_the_dtype(half: str) -> None:
    x = fastnn.convert_to_tensor(
        np.linspace(-2, 2, 12).reshape(3, 4).astype(DTYPE[half])
    )
    with fastnn.GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(ops.square(ops.tanh(x)))
    gradient = tape.gradient(loss, x)
    assert gradient.dtype == half
    t = np.tanh(x.numpy().astype(np.float64))
    step = 2.0**-7 if half == "bfloat16" else 2.0**-10
    np.testing.assert_allclose(
        gradient.numpy().astype(np.float64), 2 * t * (1 - t * t), rtol=0, atol=4 * step
    )
