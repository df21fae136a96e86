# SPDX-License-Identifier: Apache-2.0
"""First-order gradients in float32 beside torch's: 300 random calls, rtol 1e-4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.autodiff.tensor import Tensor

torch = pytest.importorskip("torch")
F = torch.nn.functional

Rng = np.random.Generator
CALLS = 300


def _shape(rng: Rng, least: int = 1, most: int = 4) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 7, rng.integers(least, most + 1)))


def _array(rng: Rng, shape: Any, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Distinct values away from 0, where functions have kinks."""
    x = rng.uniform(low, high, shape)
    return np.where(np.abs(x) < 0.05, 0.1, x).astype("float32")


def _broadcast(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    shape = _shape(rng)
    other = tuple(1 if rng.random() < 0.3 else n for n in shape)
    return _array(rng, shape), _array(rng, other[int(rng.integers(0, len(other))) :])


class Row:
    """`make(rng)` gives (arrays, a call of fastnn, the same call of torch)."""

    def __init__(self, name: str, make: Callable[[Rng], Any]) -> None:
        self.name, self.make = name, make


def _unary(name: str, theirs: Any = None, low: float = -2.0, high: float = 2.0) -> Row:
    def make(rng: Rng) -> Any:
        other = theirs or getattr(torch, name)
        return [_array(rng, _shape(rng), low, high)], getattr(ops, name), other

    return Row(name, make)


def _binary(name: str, positive: bool = False) -> Row:
    def make(rng: Rng) -> Any:
        a, b = _broadcast(rng)
        if positive:
            a, b = np.abs(a), np.abs(b)
        return [a, b], getattr(ops, name), getattr(torch, name)

    return Row(name, make)


def _reduction(name: str, theirs: Callable[..., Any]) -> Row:
    def make(rng: Rng) -> Any:
        x = _array(rng, _shape(rng, 2))
        axis, keep = int(rng.integers(0, x.ndim)), bool(rng.integers(0, 2))
        return (
            [x],
            lambda t: getattr(ops, name)(t, axis, keepdims=keep),
            lambda t: theirs(t, axis, keep),
        )

    return Row(name, make)


def _matmul(rng: Rng) -> Any:
    batch = _shape(rng, 0, 2)
    m, k, n = rng.integers(1, 9, 3)
    a, b = _array(rng, (*batch, m, k)), _array(rng, (*batch, k, n))
    return [a, b], ops.matmul, torch.matmul


def _einsum(rng: Rng) -> Any:
    text = str(rng.choice(["ij,jk->ki", "bij,bjk->bik", "ij,ij->i", "ijk,k->ij"]))
    sizes = dict(zip("bijk", rng.integers(1, 6, 4), strict=True))
    arrays = [
        _array(rng, tuple(sizes[c] for c in part))
        for part in text.split("->")[0].split(",")
    ]
    return (
        arrays,
        lambda *t: ops.einsum(text, *t),
        lambda *t: torch.einsum(text, *t),
    )


def _conv(rng: Rng) -> Any:
    h, w = rng.integers(5, 9, 2)
    c, out, size = rng.integers(1, 5), rng.integers(1, 5), int(rng.choice([1, 3]))
    stride, same = int(rng.integers(1, 3)), bool(rng.integers(0, 2))
    stride = 1 if same else stride
    x, k = _array(rng, (2, h, w, c)), _array(rng, (size, size, c, out))

    def theirs(x: Any, k: Any) -> Any:
        pad = size // 2 if same else 0
        y = F.conv2d(x.permute(0, 3, 1, 2), k.permute(3, 2, 0, 1), None, stride, pad)
        return y.permute(0, 2, 3, 1)

    padding = "same" if same else "valid"
    return [x, k], lambda x, k: ops.conv(x, k, stride, padding), theirs


def _pool(rng: Rng) -> Any:
    x = rng.permutation(2 * 6 * 6 * 3).astype("float32").reshape(2, 6, 6, 3) / 50
    mean = bool(rng.integers(0, 2))
    size, stride = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    ours = ops.average_pool if mean else ops.max_pool
    pool = F.avg_pool2d if mean else F.max_pool2d

    def theirs(x: Any) -> Any:
        return pool(x.permute(0, 3, 1, 2), size, stride).permute(0, 2, 3, 1)

    return [x], lambda x: ours(x, size, stride, "valid"), theirs


def _take(rng: Rng) -> Any:
    x = _array(rng, _shape(rng, 2))
    axis = int(rng.integers(0, x.ndim))
    at = rng.integers(0, x.shape[axis], 5)
    index = torch.from_numpy(at)
    return (
        [x],
        lambda t: ops.take(t, at, axis),
        lambda t: torch.index_select(t, axis, index),
    )


def _moved(rng: Rng) -> Any:
    x = _array(rng, _shape(rng, 2))
    order = tuple(int(i) for i in rng.permutation(x.ndim))
    return (
        [x],
        lambda t: ops.square(ops.transpose(t, order))[::2],
        lambda t: torch.square(torch.permute(t, order))[::2],
    )


def _where(rng: Rng) -> Any:
    a, b = _broadcast(rng)
    test = rng.random(np.broadcast_shapes(a.shape, b.shape)) < 0.5
    chosen = torch.from_numpy(test)
    return (
        [a, b],
        lambda a, b: ops.where(test, a, b),
        lambda a, b: torch.where(chosen, a, b),
    )


def _sparse_entropy(rng: Rng) -> Any:
    n, classes = rng.integers(1, 9), rng.integers(2, 9)
    labels = rng.integers(0, classes, n)
    target = torch.from_numpy(labels)
    return (
        [_array(rng, (n, classes))],
        lambda z: ops.sparse_categorical_crossentropy(labels, z, from_logits=True),
        lambda z: F.cross_entropy(z, target, reduction="none"),
    )


def _layer_norm(rng: Rng) -> Any:
    rows, n = rng.integers(1, 6), rng.integers(2, 9)
    arrays = [_array(rng, (rows, n)), _array(rng, (n,)), _array(rng, (n,))]

    def ours(x: Any, g: Any, b: Any) -> Any:
        mean, var = ops.moments(x, [1], keepdims=True)
        return (x - mean) * ops.rsqrt(var + 1e-3) * g + b

    return arrays, ours, lambda x, g, b: F.layer_norm(x, (int(n),), g, b, 1e-3)


def _sorted(rng: Rng) -> Any:
    x = rng.permutation(24).astype("float32").reshape(4, 6)
    return [x], lambda t: ops.sort(t, -1), lambda t: torch.sort(t, -1)[0]


def _cumulative(rng: Rng) -> Any:
    x = _array(rng, _shape(rng, 1))
    axis, product = int(rng.integers(0, x.ndim)), bool(rng.integers(0, 2))
    ours = ops.cumprod if product else ops.cumsum
    theirs = torch.cumprod if product else torch.cumsum
    return [x], lambda t: ours(t, axis), lambda t: theirs(t, axis)


def _joined(rng: Rng) -> Any:
    shape = _shape(rng, 1, 3)
    axis = int(rng.integers(0, len(shape)))
    arrays = [_array(rng, shape) for _ in range(int(rng.integers(1, 4)))]
    return (
        arrays,
        lambda *t: ops.concatenate(t, axis),
        lambda *t: torch.cat(t, axis),
    )


def _linalg(rng: Rng) -> Any:
    n = int(rng.integers(1, 6))
    a = _array(rng, (n, n)) + 5 * np.eye(n, dtype="float32")
    which = str(rng.choice(["inv", "det", "cholesky", "solve"]))
    if which == "cholesky":
        ours = lambda t: ops.cholesky(t @ ops.transpose(t))  # noqa: E731
        return [a], ours, lambda t: torch.linalg.cholesky(t @ t.T)
    if which == "solve":
        return [a, _array(rng, (n, 2))], ops.solve, torch.linalg.solve
    return [a], getattr(ops, which), getattr(torch.linalg, which)


ROWS = [
    *map(
        _unary, "abs exp sin cos tanh sigmoid square negative atan sinh erf".split()[:8]
    ),
    _unary("arctan", torch.arctan),
    _unary("erf", torch.erf),
    _unary("log", None, 0.1, 4.0),
    _unary("sqrt", None, 0.1, 4.0),
    _unary("rsqrt", None, 0.2, 4.0),
    _unary("log1p", None, -0.5, 4.0),
    _unary("expm1"),
    _unary("relu", torch.relu),
    _unary("elu", F.elu),
    _unary("selu", F.selu),
    _unary("silu", F.silu),
    _unary("softplus", F.softplus),
    _unary("softsign", F.softsign),
    _unary("gelu", lambda x: F.gelu(x, approximate="tanh")),
    _unary("softmax", lambda x: F.softmax(x, -1)),
    _unary("log_softmax", lambda x: F.log_softmax(x, -1)),
    *map(_binary, "add subtract multiply divide maximum minimum".split()),
    _binary("arctan2"),
    Row(
        "power",
        lambda rng: ([np.abs(a) for a in _broadcast(rng)], ops.power, torch.pow),
    ),
    _reduction("sum", torch.sum),
    _reduction("mean", torch.mean),
    _reduction("max", torch.amax),
    _reduction("min", torch.amin),
    _reduction("prod", torch.prod),
    _reduction("logsumexp", torch.logsumexp),
    _reduction(
        "var", lambda t, axis, keep: torch.var(t, axis, correction=0, keepdim=keep)
    ),
    Row("matmul", _matmul),
    Row("einsum", _einsum),
    Row("conv", _conv),
    Row("pool", _pool),
    Row("take", _take),
    Row("transpose", _moved),
    Row("where", _where),
    Row("sparse crossentropy", _sparse_entropy),
    Row("layer norm", _layer_norm),
    Row("sort", _sorted),
    Row("cumulative", _cumulative),
    Row("concatenate", _joined),
    Row("linalg", _linalg),
]


@pytest.mark.parametrize("number", range(CALLS))
def test_gradients_are_torchs(number: int) -> None:
    row = ROWS[number % len(ROWS)]
    rng = np.random.default_rng([9, number])
    arrays, ours, theirs = row.make(rng)
    tensors = [Tensor(np.ascontiguousarray(a, "float32")) for a in arrays]
    with fastnn.GradientTape() as tape:
        tape.watch(tensors)
        y = ours(*tensors)
    seed = rng.standard_normal(y.shape).astype("float32")
    found = tape.gradient(y, tensors, Tensor(seed), unconnected_gradients="zero")
    given = [torch.from_numpy(t.numpy()).requires_grad_() for t in tensors]
    z = theirs(*given)
    assert tuple(z.shape) == y.shape
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-4, atol=1e-5)
    expected = torch.autograd.grad(z, given, torch.from_numpy(seed), allow_unused=True)
    for g, e, a in zip(found, expected, arrays, strict=True):
        want = np.zeros(a.shape) if e is None else e.numpy()
        scale = max(1.0, float(np.abs(want).max(initial=0.0)))
        np.testing.assert_allclose(
            g.numpy(), want, rtol=1e-4, atol=2e-5 * scale, err_msg=row.name
        )
