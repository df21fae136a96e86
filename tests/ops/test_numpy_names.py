# SPDX-License-Identifier: Apache-2.0
"""What has no row in composite_cases: creation, windows, bits, errors, slopes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import BackendError, DTypeError, ShapeError

RNG = np.random.default_rng(4)
X = RNG.normal(size=(3, 7)).astype("float32")
NAN = np.array([[np.nan, np.nan], [np.nan, 1.0]], "float32")


def slope(f: Any, *xs: np.ndarray) -> list[np.ndarray]:
    tensors = [ops.convert_to_tensor(x) for x in xs]
    with fastnn.GradientTape() as tape:
        tape.watch(tensors)
        y = f(*tensors)
    return [g.numpy() for g in tape.gradient(y, tensors)]


# ---- creation, dtypes, bits --------------------------------------------------------


def test_arrays_and_dtypes() -> None:
    assert ops.array([1, 2]).dtype == "int32"
    assert ops.array(ops.array(X), "float64").dtype == "float64"
    assert ops.dtype(X) == "float32" and ops.dtype(1) == "int32"
    assert (ops.empty((2, 0)).shape, ops.empty((2,), "int8").dtype) == ((2, 0), "int8")
    assert ops.empty_like(X).shape == X.shape
    assert ops.empty_like(X, "bool").dtype == "bool"


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "int16", "float64"])
def test_views_are_numpys(dtype: str) -> None:
    x = RNG.normal(size=(2, 6)).astype("float32")
    for given in (x, x[:, ::-1]):
        want = np.ascontiguousarray(given).view(dtype)
        np.testing.assert_array_equal(ops.view(given, dtype).numpy(), want)
    assert ops.view(x).dtype == "float32"
    with pytest.raises(ShapeError, match=r"\[view\].*no whole number of float64"):
        ops.view(x[:, :3], "float64")


@pytest.mark.parametrize("name", ["linspace", "logspace", "geomspace"])
def test_spaced_numbers_are_numpys(name: str) -> None:
    function, oracle = getattr(ops, name), getattr(np, name)
    ends: Any = ((0.5, 2.0), (np.array([1.0, 2.0, 0.5]), 2.0), (1, np.ones((2, 1)) * 3))
    for start, stop in ends:
        for num in (0, 1, 2, 7):
            for options in ({}, {"endpoint": False}, {"axis": -1}):
                want = oracle(start, stop, num, **options)
                y = function(start, stop, num, **options)
                assert y.dtype == (
                    "float32" if np.ndim(start + stop) == 0 else "float64"
                )
                np.testing.assert_allclose(y.numpy(), want, rtol=1e-6)
                tensors = (ops.array(v, "float64") for v in (start, stop))
                y = function(*tensors, num, **options)
                np.testing.assert_allclose(y.numpy(), want, rtol=1e-14)
    whole = function(1.0, 2.5, 5, dtype="int32")
    np.testing.assert_array_equal(whole.numpy(), oracle(1.0, 2.5, 5, dtype="int32"))
    with pytest.raises(ValueError, match=rf"\[{name}\] cannot make -1"):
        function(1, 2, -1)


def test_spaced_numbers_have_slopes() -> None:
    one, two = np.array(1.5), np.array(4.0)
    np.testing.assert_allclose(slope(lambda a, b: ops.linspace(a, b, 5), one, two), 2.5)
    got = slope(lambda a, b: ops.geomspace(a, b, 3)[1], one, two)
    np.testing.assert_allclose(got, [0.5 * (4 / 1.5) ** 0.5, 0.5 * (1.5 / 4) ** 0.5])
    y, step = ops.linspace(0.0, 1.0, 5, retstep=True)
    assert (y.shape, float(step)) == ((5,), 0.25)


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
@pytest.mark.parametrize("points", [0, 1, 2, 5, 64])
def test_windows_are_numpys(name: str, points: int) -> None:
    y = getattr(ops, name)(points)
    assert y.dtype == "float32"
    np.testing.assert_array_equal(y.numpy(), getattr(np, name)(points).astype("f4"))
    with pytest.raises(ValueError, match=rf"\[{name}\] needs the number of points"):
        getattr(ops, name)(2.5)


def test_kaiser_windows() -> None:
    for points in (0, 1, 9):
        for beta in (0.0, 3.5, 14.0):
            want = np.kaiser(points, beta)
            y = ops.kaiser(points, beta).numpy()
            np.testing.assert_allclose(y, want, rtol=1e-6)
            y = ops.kaiser(points, ops.array(beta)).numpy()
            np.testing.assert_allclose(y, want, rtol=1e-5)
    (got,) = slope(lambda b: ops.kaiser(5, b)[1], np.array(3.0))
    up, down = (np.kaiser(5, 3.0 + h)[1] for h in (1e-6, -1e-6))
    assert float(got) == pytest.approx((up - down) / 2e-6, rel=1e-6)


# ---- NaN, infinities, nothing ------------------------------------------------------


def test_slices_without_a_number() -> None:
    for name in ("max", "min", "mean", "var", "std"):
        y = getattr(ops, f"nan{name}")(NAN, axis=1).numpy()
        assert np.isnan(y[0]) and not np.isnan(y[1])
        reduce = getattr(ops, f"nan{name}")
        (g,) = slope(lambda x, f=reduce: f(x, axis=1)[1:], NAN[:, ::-1].copy())
        assert g[0].tolist() == [0.0, 0.0]
    assert ops.nansum(NAN, 1).numpy().tolist() == [0, 1]
    assert ops.nanprod(NAN, 1).numpy().tolist() == [1, 1]
    assert ops.nanargmax(NAN, 1).numpy().tolist() == [-1, 1]
    assert ops.nanargmin(NAN, 0).numpy().tolist() == [-1, 1]
    inf = np.array([np.nan, -np.inf, np.inf])
    assert (float(ops.nanmax(inf)), float(ops.nanmin(inf))) == (np.inf, -np.inf)
    for name in ("nanmax", "nanargmin"):
        with pytest.raises(ValueError, match=r"\[\w+\] no elements"):
            getattr(ops, name)(np.zeros((0, 2)))


def test_nothing_in_nothing_out() -> None:
    empty = np.zeros((0, 3), "float32")
    assert ops.diff(empty).shape == (0, 2)
    assert ops.diff(np.ones(2), n=5).shape == (0,)
    assert ops.hstack([empty, empty]).shape == (0, 6)
    assert ops.cdist(empty, np.zeros((2, 3))).shape == (0, 2)
    assert ops.rfft(empty)[0].shape == (0, 2)
    assert ops.trapezoid(empty).shape == (0,)
    assert ops.vander([]).shape == (0, 0)
    assert ops.extract_sequences(np.ones(2), 3, 1).shape == (0, 3)
    assert ops.unstack(empty) == []
    assert [t.shape for t in ops.split(empty, np.int64(3))] == [(0, 3)] * 3
    with pytest.raises(ShapeError, match=r"\[fft\] needs elements"):
        ops.fft((np.zeros(0), np.zeros(0)))


def test_a_distance_of_zero_has_slope_zero() -> None:
    a, b = slope(lambda x, y: ops.cdist(x, y), np.zeros((1, 2)), np.zeros((2, 2)))
    assert not a.any() and not b.any()


def test_bools_and_narrow_integers() -> None:
    bits = np.array([True, True, False])
    np.testing.assert_array_equal(ops.diff(bits).numpy(), np.diff(bits))
    small = np.array([100, -100, 7], "int8")
    np.testing.assert_array_equal(ops.diff(small).numpy(), np.diff(small))
    assert ops.ptp(small).numpy() == np.ptp(small)  # both wrap
    for name in ("i0", "corrcoef"):
        assert getattr(ops, name)(np.array([[1, 2, 4]], "int64")).dtype == "float64"
    assert ops.vander(np.arange(3, dtype="uint8")).dtype == "uint8"


@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_sixteen_bits(half: str) -> None:
    x = ops.cast(X, half)
    pair = (x, x)
    for y in (*ops.fft(pair), *ops.rfft(x), ops.irfft(pair), *ops.ifft2(pair)):
        assert y.dtype == half and bool(ops.all(ops.isfinite(y)))
    assert ops.stft(x, 4, 2, 4)[0].dtype == half
    for name in ("nanmean", "nanmax", "ptp", "diff", "corrcoef"):
        assert getattr(ops, name)(x).dtype == half
    assert ops.i0(x).dtype == half


# ---- Fourier -----------------------------------------------------------------------


@pytest.mark.parametrize("window", ["hann", "hamming", np.arange(1.0, 9.0), None])
@pytest.mark.parametrize("center", [True, False])
def test_short_time_transforms_are_scipys(window: Any, center: bool) -> None:
    signal = pytest.importorskip("scipy.signal")
    x = RNG.normal(size=(2, 40))
    real, imag = ops.stft(x, 8, 3, 12, window, center)
    if window is None:
        w = np.ones(12)
    else:
        named = isinstance(window, str)
        w = np.pad(signal.get_window(window, 8) if named else window, 2)
    wide = np.pad(x, [(0, 0), (6, 6)], "reflect") if center else x
    want = signal.stft(
        wide, 1.0, w, 12, 9, 12, boundary=None, padded=False, return_onesided=True
    )[-1]
    want = np.swapaxes(want * w.sum(), -1, -2)
    np.testing.assert_allclose(real.numpy(), want.real, atol=1e-12)
    np.testing.assert_allclose(imag.numpy(), want.imag, atol=1e-12)
    if window is not None:
        back = ops.istft((real, imag), 8, 3, 12, 30, window, center).numpy()
        inner = slice(4, 28)
        np.testing.assert_allclose(back[:, inner], x[:, :30][:, inner], atol=1e-9)


def test_pairs_that_are_none() -> None:
    for name in ("fft", "fft2", "ifft2", "irfft"):
        with pytest.raises(ValueError, match=rf"\[{name}\] x must be a pair"):
            getattr(ops, name)(X)
        with pytest.raises(ShapeError, match="need one shape"):
            getattr(ops, name)((X, X[:2]))
    with pytest.raises(ShapeError, match="size 2"):
        ops.view_as_complex(X)
    with pytest.raises(DTypeError, match=r"\[stft\] x must be floating"):
        ops.stft(np.arange(9), 4, 2, 4)
    with pytest.raises(ValueError, match="fft_length must be at least"):
        ops.stft(X, 6, 2, 4)
    with pytest.raises(ValueError, match="window must be"):
        ops.stft(X, 4, 2, 4, "kaiser")
    with pytest.raises(ShapeError, match="vector of sequence_length"):
        ops.stft(X, 4, 2, 4, np.ones(5))
    assert not ops.view_as_real(X)[..., 1].numpy().any()
    real, imag = ops.view_as_complex(ops.view_as_real((X, -X)))
    np.testing.assert_array_equal(real.numpy(), X)
    np.testing.assert_array_equal(imag.numpy(), -X)


# ---- vectorize ---------------------------------------------------------------------


def test_vectorize() -> None:
    def step(a: Any, b: Any) -> Any:
        assert a.shape == b.shape == ()
        return ops.where(a > b, a - b, a + b)

    y = ops.vectorize(step)([1, 2, 3, 4], 2)
    assert y.numpy().tolist() == [3, 4, 1, 2]
    assert ops.vectorize(step)(X[:, :1], X[0]).shape == (3, 7)
    product = ops.vectorize(
        lambda m, v: (m @ v, ops.sum(v)), signature="(m,n),(n)->(m),()"
    )
    m = RNG.normal(size=(5, 1, 2, 3))
    v = RNG.normal(size=(4, 3))
    a, b = product(m, v)
    np.testing.assert_allclose(a.numpy(), np.einsum("abmn,bn->abm", m, v))
    np.testing.assert_allclose(b.numpy(), np.broadcast_to(v.sum(-1), (5, 4)))
    power = ops.vectorize(lambda x, n: x**n, excluded={1})
    np.testing.assert_array_equal(power(np.arange(4), 2).numpy(), [0, 1, 4, 9])
    (g,) = slope(lambda x: ops.vectorize(lambda s: s * s)(x), np.arange(3.0))
    assert g.tolist() == [0, 2, 4]


def test_vectorize_says_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="must be callable"):
        ops.vectorize(3)
    with pytest.raises(ValueError, match="not a signature"):
        ops.vectorize(abs, signature="(n")
    with pytest.raises(ValueError, match="no elements"):
        ops.vectorize(ops.abs)([])
    dot = ops.vectorize(ops.dot, signature="(n),(n)->()")
    with pytest.raises(ShapeError, match="axis 'n': 2 and 3"):
        dot(np.ones(2), np.ones(3))
    with pytest.raises(ShapeError, match="has no axes"):
        dot(1.0, np.ones(3))
    with pytest.raises(TypeError, match="has 2 arguments, received 1"):
        dot(np.ones(3))


# ---- errors, SciPy, torch ----------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.unstack(X, 4), "has no 4 slices but 3"),
        (lambda: ops.array_split(X, 0), "cannot make 0 parts"),
        (lambda: ops.dsplit(X, 1), "needs rank 3"),
        (lambda: ops.diff(X, -1), "must not be negative"),
        (lambda: ops.average(X, 0, np.ones(4)), "weights must have x's shape"),
        (lambda: ops.average(X, None, np.ones(7)), "weights must have x's shape"),
        (lambda: ops.correlate(X, X), "needs vectors"),
        (lambda: ops.correlate([], [1.0]), "empty vector"),
        (lambda: ops.correlate([1.0], [1.0], "half"), "valid, same or full"),
        (lambda: ops.corrcoef(X[None]), "rank 2 at most"),
        (lambda: ops.vander(X), "needs a vector"),
        (lambda: ops.cdist(X, X[:, :2]), "needs vectors"),
        (lambda: ops.rfft(X, 0), "must be positive"),
        (lambda: ops.extract_sequences(X, 0, 1), "must be positive"),
        (lambda: ops.geomspace(0, 1), "must not be 0"),
        (lambda: ops.split(X, 0), "3 is not 0 equal parts"),
        (lambda: ops.linspace(0, 1, 2.5), "num must be an integer"),
    ],
)
def test_errors_name_the_function_and_what_it_received(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=rf"^\[\w+\].*{message}"):
        call()


def test_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-20, 20, 41)
    want = [ops.i0(x).numpy(), *slope(ops.i0, x)]
    plain = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return plain(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    for a, w in zip([ops.i0(x).numpy(), *slope(ops.i0, x)], want, strict=True):
        np.testing.assert_allclose(a, w, rtol=1e-13, atol=1e-15)
    with pytest.raises(BackendError, match=r"\[gammainc\] needs SciPy"):
        ops.gammainc(1.0, 2.0)


def test_gammainc_far_out_and_beyond() -> None:
    special = pytest.importorskip("scipy.special")
    a = np.array([1e-3, 0.5, 3.0, 100.0, 1e4, 2.0, 0.0, -1.0, 2.0])
    x = np.array([0.0, 1e-8, 80.0, 100.0, 9.9e3, np.inf, 1.0, 1.0, -1.0])
    np.testing.assert_allclose(ops.gammainc(a, x).numpy(), special.gammainc(a, x))
    by_a, by_x = slope(ops.gammainc, a[1:5], x[1:5])
    h = 1e-5 * a[1:5]
    up, down = (special.gammainc(a[1:5] + s, x[1:5]) for s in (h, -h))
    np.testing.assert_allclose(by_a, (up - down) / (2 * h), rtol=1e-5, atol=1e-11)
    h = 1e-5 * x[1:5]
    up, down = (special.gammainc(a[1:5], x[1:5] + s) for s in (h, -h))
    np.testing.assert_allclose(by_x, (up - down) / (2 * h), rtol=1e-5, atol=1e-11)


TORCH: dict[str, tuple[Any, Any]] = {
    "diff": (lambda x: ops.diff(x, 2), lambda t, x: t.diff(x, 2)),
    "cdist": (lambda x: ops.cdist(x, x + 1), lambda t, x: t.cdist(x, x + 1)),
    "corrcoef": (ops.corrcoef, lambda t, x: t.corrcoef(x)),
    "i0": (ops.i0, lambda t, x: t.special.i0(x)),
    "nansum": (ops.nansum, lambda t, x: x.nansum()),
    "nanmean": (lambda x: ops.nanmean(x, 1), lambda t, x: x.nanmean(1)),
    "trapezoid": (ops.trapezoid, lambda t, x: t.trapezoid(x)),
    "vander": (lambda x: ops.vander(x[0]), lambda t, x: t.linalg.vander(x[0]).flip(1)),
    "rfft": (lambda x: ops.rfft(x, 6)[1], lambda t, x: t.fft.rfft(x, 6).imag),
    "irfft": (
        lambda x: ops.irfft((x, x * x)),
        lambda t, x: t.fft.irfft(t.complex(x, x * x)),
    ),
    "fft2": (
        lambda x: ops.fft2((x, x * x))[0],
        lambda t, x: t.fft.fft2(t.complex(x, x * x)).real,
    ),
    "stft": (
        lambda x: ops.stft(x, 4, 2, 4, np.ones(4))[0],
        lambda t, x: t.stft(x, 4, 2, window=t.ones(4), return_complex=True).real.mT,
    ),
}


@pytest.mark.parametrize("name", TORCH)
def test_slopes_in_float32_are_torchs(name: str) -> None:
    torch = pytest.importorskip("torch")
    own, other = TORCH[name]
    t = torch.tensor(X, requires_grad=True)
    y = other(torch, t)
    weights = RNG.normal(size=tuple(y.shape)).astype("float32")
    (y * torch.tensor(weights)).sum().backward()
    (g,) = slope(lambda x: own(x) * weights, X)
    np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-4, atol=1e-4)
