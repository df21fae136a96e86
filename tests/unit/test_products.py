# SPDX-License-Identifier: Apache-2.0
"""Contractions against NumPy in float64, their gradients against differences."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)

EINSUMS = [
    ("ij,jk->ik", (3, 4), (4, 5)),
    ("ij,jk", (3, 4), (4, 5)),
    ("ij,kj->ki", (3, 4), (5, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhqd,bhkd->bhqk", (2, 3, 5, 4), (2, 3, 6, 4)),
    ("xyz,zw->xyw", (2, 3, 4), (4, 5)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (7, 4, 5)),
    ("...i,...i->...", (2, 3, 4), (3, 4)),
    ("ii->i", (4, 4)),
    ("ii", (4, 4)),
    ("iji->j", (3, 4, 3)),
    ("ij->ji", (3, 4)),
    ("ij->", (3, 4)),
    ("i,j->ij", (3,), (4,)),
    ("i,i->i", (3,), (3,)),
    ("i,i", (3,), (3,)),
    ("ij,ij->i", (3, 4), (3, 4)),
    ("ij,jk,kl->il", (3, 4), (4, 5), (5, 2)),
    ("ab,bc,cd,da->", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("ij,j->ij", (3, 1), (4,)),
    ("ij,jk->ik", (3, 0), (0, 2)),
    ("ik,jk,lk->ijl", (2, 3), (4, 3), (5, 3)),
    (" i j , j k -> k i ", (3, 4), (4, 5)),
    (",ij->ji", (), (3, 4)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0] + str(c[1:]))
def test_einsum_as_numpy(case) -> None:
    text, *shapes = case
    arrays = [RNG.normal(size=s) for s in shapes]
    y = ops.einsum(text, *[a.astype("float32") for a in arrays])
    expected = _einsum(text, arrays)
    assert y.dtype == "float32"
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=2e-5, atol=2e-5)


def _einsum(text: str, arrays: list) -> np.ndarray:
    """NumPy broadcasts labels of size 1 only within '...'."""
    if text == "ij,j->ij":
        return arrays[0] * arrays[1]
    return np.einsum(text.replace(" ", ""), *arrays)


@pytest.mark.parametrize("case", EINSUMS, ids=lambda c: c[0] + str(c[1:]))
def test_gradients_of_einsum(case) -> None:
    """The derivative of a sum of products: replace one factor by a direction."""
    text, *shapes = case
    arrays = [RNG.normal(size=s) for s in shapes]
    weight = RNG.normal(size=_einsum(text, arrays).shape)
    tensors = [fastnn.convert_to_tensor(a) for a in arrays]
    with fastnn.GradientTape() as tape:
        for t in tensors:
            tape.watch(t)
        loss = ops.sum(ops.multiply(ops.einsum(text, *tensors), weight))
    for i, gradient in enumerate(tape.gradient(loss, tensors)):
        direction = RNG.normal(size=arrays[i].shape)
        moved = [*arrays[:i], direction, *arrays[i + 1 :]]
        expected = np.sum(_einsum(text, moved) * weight)
        got = np.sum(gradient.numpy() * direction)
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-10)


def test_einsum_traces() -> None:
    x = RNG.normal(size=(2, 5, 3, 4)).astype("float32")
    f = fastnn.function(lambda a, b: ops.einsum("bqhd,bkhd->bhqk", a, b))
    expected = np.einsum("bqhd,bkhd->bhqk", x, x)
    np.testing.assert_allclose(f(x, x).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_einsum_refuses() -> None:
    x = np.ones((2, 3), "float32")
    with pytest.raises(ValueError, match=r"\[einsum\] .* names 2 operands, received 1"):
        ops.einsum("ij,jk->ik", x)
    with pytest.raises(ValueError, match="one letter per axis"):
        ops.einsum("ijk->i", x)
    with pytest.raises(ValueError, match="must name labels"):
        ops.einsum("ij->k", x)
    with pytest.raises(ShapeError, match="label 'j' stands for sizes 3 and 2"):
        ops.einsum("ij,jk->ik", x, x)
    with pytest.raises(TypeError, match="unexpected"):
        ops.einsum("ij->i", x, order="C")


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint32"])
def test_integers_are_exact(dtype: str) -> None:
    a = RNG.integers(0, 100, (3, 4)).astype(dtype)
    b = RNG.integers(0, 100, (4, 5)).astype(dtype)
    kept = "int32" if dtype == "int8" else dtype
    expected = (a.astype("int64") @ b.astype("int64")).astype(kept)
    for y in (
        ops.einsum("ij,jk->ik", a, b),
        ops.matmul(a, b),
        ops.dot(a, b),
        ops.tensordot(a, b, 1),
    ):
        assert y.dtype == kept
        np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((3, 4, 5), (4, 5, 6), 2),
        ((3, 4), (5, 6), 0),
        ((3, 4), (4, 6), 1),
        ((3, 4, 5), (5, 4, 2), ([1, 2], [1, 0])),
        ((3, 4, 5), (5, 4, 2), ((-1,), (0,))),
        ((3, 4), (2, 4), (1, 1)),
    ],
)
def test_tensordot_as_numpy(a, b, axes) -> None:
    x, y = RNG.normal(size=a), RNG.normal(size=b)
    got = ops.tensordot(x, y, axes=axes).numpy()
    np.testing.assert_allclose(got, np.tensordot(x, y, axes), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["dot", "inner", "vdot", "outer", "kron"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((4,), (4,)),
        ((3, 4), (3, 4)),
        ((2, 3, 4), (4,)),
        ((), (3,)),
        ((2, 4, 4), (4, 4)),
    ],
)
def test_products_as_numpy(name: str, a, b) -> None:
    x, y = RNG.normal(size=a), RNG.normal(size=b)
    try:
        expected = getattr(np, name)(x, y)
    except ValueError:
        with pytest.raises(ShapeError, match=rf"\[{name}\]"):
            getattr(ops, name)(x, y)
        return
    got = getattr(ops, name)(x, y)
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "axes"),
    [
        ((3,), (3,), {}),
        ((5, 3), (5, 3), {}),
        ((5, 3), (3,), {}),
        ((3, 5), (5, 3), {"axisa": 0, "axisc": 0}),
        ((3, 5), (3, 5), {"axis": 0}),
        ((5, 2), (5, 3), {}),
        ((5, 3), (5, 2), {}),
    ],
)
def test_cross_as_numpy(a, b, axes) -> None:
    x, y = RNG.normal(size=a), RNG.normal(size=b)
    got = ops.cross(x, y, **axes).numpy()
    padded = [
        np.pad(v, [(0, 0)] * (v.ndim - 1) + [(0, 1)]) if v.shape[-1] == 2 else v
        for v in (x, y)
    ]
    np.testing.assert_allclose(got, np.cross(*padded, **axes), rtol=1e-12, atol=1e-12)


def test_cross_of_planes_is_the_third_component() -> None:
    x, y = RNG.normal(size=(5, 2)), RNG.normal(size=(5, 2))
    expected = x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]
    np.testing.assert_allclose(ops.cross(x, y).numpy(), expected, rtol=1e-12)
    with pytest.raises(ShapeError, match=r"\[cross\] vectors must have 2 or 3"):
        ops.cross(np.ones(4), np.ones(4))
