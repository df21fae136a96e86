# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

import fastnn
from fastnn import initializers, random
from fastnn.errors import ShapeError

SHAPE = (200, 300)
IN, OUT = SHAPE
VARIANCES = {
    "glorot_uniform": 2 / (IN + OUT),
    "glorot_normal": 2 / (IN + OUT),
    "he_uniform": 2 / IN,
    "he_normal": 2 / IN,
    "lecun_uniform": 1 / IN,
    "lecun_normal": 1 / IN,
    "random_normal": 0.05**2,
    "random_uniform": 0.1**2 / 12,
    # A normal cut at 2 deviations has the deviation 0.87962566.
    "truncated_normal": (0.05 * 0.87962566103423978) ** 2,
    "variance_scaling": 1 / IN,
    "orthogonal": 1 / OUT,
}
BOUNDS = {
    "glorot_uniform": math.sqrt(6 / (IN + OUT)),
    "he_uniform": math.sqrt(6 / IN),
    "lecun_uniform": math.sqrt(3 / IN),
    "random_uniform": 0.05,
    "truncated_normal": 0.1,
    "he_normal": 2 * math.sqrt(2 / IN) / 0.87962566103423978,
}
FIXED = {
    "Constant",
    "Identity",
    "Initializer",
    "Ones",
    "STFT",
    "Zeros",
}


def test_no_initializer_is_forgotten():
    classes = {c for c in initializers._TABLE.values() if isinstance(c, type)}
    drawn = {initializers._TABLE[name] for name in VARIANCES}
    assert {c.__name__ for c in classes - drawn} == FIXED


@pytest.mark.feature("1C-2", "1C-3", "1C-4", "1C-5")
@pytest.mark.parametrize("name", sorted(VARIANCES))
def test_moments_and_bounds(name):
    values = type(initializers.get(name))(seed=1)(SHAPE).numpy()
    assert values.shape == SHAPE
    assert values.dtype == "float32"
    deviation = math.sqrt(VARIANCES[name])
    n = values.size
    assert abs(values.mean()) < 4 * deviation / math.sqrt(n)
    assert values.var() == pytest.approx(VARIANCES[name], rel=5 * math.sqrt(2 / n))
    bound = BOUNDS.get(name)
    if bound:
        assert np.abs(values).max() <= bound * (1 + 1e-6)
        assert np.abs(values).max() > 0.98 * bound


@pytest.mark.parametrize("name", sorted(VARIANCES))
def test_seeds(name):
    cls = type(initializers.get(name))
    seeded = cls(seed=3)
    first = seeded((4, 5)).numpy()
    np.testing.assert_array_equal(seeded((4, 5)).numpy(), first)
    np.testing.assert_array_equal(cls(seed=3)((4, 5)).numpy(), first)
    np.testing.assert_array_equal(seeded.clone()((4, 5)).numpy(), first)
    assert (cls(seed=4)((4, 5)).numpy() != first).any()
    assert (cls()((4, 5)).numpy() != cls()((4, 5)).numpy()).any()
    fastnn.utils.set_random_seed(9)
    drawn = cls()((4, 5)).numpy()
    fastnn.utils.set_random_seed(9)
    np.testing.assert_array_equal(cls()((4, 5)).numpy(), drawn)


def test_seed_generator_moves_on():
    draw = initializers.RandomNormal(seed=random.SeedGenerator(5))
    assert (draw((8,)).numpy() != draw((8,)).numpy()).any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (2, 3, 4), (5, 5)])
def test_orthogonal(shape, dtype):
    q = initializers.Orthogonal(gain=2.0, seed=1)(shape, dtype=dtype)
    assert q.dtype == dtype
    q = q.numpy().reshape(-1, shape[-1])
    gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-5)


def test_constants():
    np.testing.assert_array_equal(
        initializers.Zeros()((2, 3)).numpy(), np.zeros((2, 3))
    )
    np.testing.assert_array_equal(initializers.Ones()((2,)).numpy(), [1, 1])
    filled = initializers.Constant(2.5)((2, 2), dtype="float64")
    np.testing.assert_array_equal(filled.numpy(), np.full((2, 2), 2.5))
    assert filled.dtype == "float64"
    rows = initializers.Constant([1.0, 2.0])((3, 2)).numpy()
    np.testing.assert_array_equal(rows, [[1, 2]] * 3)
    np.testing.assert_array_equal(
        initializers.Identity(gain=3.0)((2, 3)).numpy(), [[3, 0, 0], [0, 3, 0]]
    )


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((3, 5), (3, 5)),
        ((3, 3, 16, 32), (144, 288)),
    ],
)
def test_fans(shape, fans):
    assert initializers.compute_fans(shape) == fans


def test_fans_of_named_axes():
    assert initializers.compute_fans((2, 3, 4), [1, 2], [0]) == (12, 2)
    assert initializers.compute_fans((2, 3, 4), [1], None) == (6, 8)


@pytest.mark.parametrize(
    "arguments",
    [{"scale": 0.0}, {"mode": "fan_max"}, {"distribution": "cauchy"}],
)
def test_wrong_scaling(arguments):
    with pytest.raises(ValueError, match="VarianceScaling"):
        initializers.VarianceScaling(**arguments)


def test_wrong_shapes():
    with pytest.raises(ShapeError, match="matrix"):
        initializers.Identity()((2, 3, 4))
    with pytest.raises(ShapeError, match="two axes"):
        initializers.Orthogonal()((3,))


def test_an_array_is_an_initializer_of_its_shape():
    given = initializers.get(np.arange(6.0).reshape(2, 3))
    values = given((2, 3))
    assert values.dtype == "float32"
    np.testing.assert_array_equal(values.numpy(), [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(ShapeError, match="array given"):
        given((3, 2))


def test_user_subclass():
    class Ramp(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.arange(math.prod(shape)).reshape(shape)

    assert initializers.get(Ramp)((2, 2))[1, 1] == 3
    with pytest.raises(NotImplementedError, match="__call__"):
        initializers.Initializer()((2,))


# ---- STFT --------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", None, "array"])
@pytest.mark.parametrize("scaling", [None, "density", "spectrum"])
def test_stft_is_a_fourier_transform(window, scaling, periodic) -> None:
    signal = pytest.importorskip("scipy.signal")
    drawn = np.random.default_rng(0).random(12)
    given = drawn if window == "array" else window
    weights = np.ones(12) if window is None else drawn
    if isinstance(given, str):
        weights = signal.get_window(given, 12, fftbins=periodic)
    scales = {"density": np.sqrt((weights**2).sum()), "spectrum": abs(weights).sum()}
    scale = 1.0 if window is None else scales.get(scaling, 1.0)
    frame = np.random.default_rng(1).normal(size=12)
    expected = np.fft.rfft(frame * weights / scale, 16)
    for side in ("real", "imag"):
        kernel = initializers.STFT(side, given, scaling, periodic)(
            (12, 1, 9), "float64"
        )
        found = frame @ np.asarray(kernel)[:, 0]
        np.testing.assert_allclose(found, getattr(expected, side), atol=1e-14)


def test_stft_refuses() -> None:
    for arguments in (("left",), ("real", "hanning_"), ("real", "hann", "loud")):
        with pytest.raises(ValueError):
            initializers.STFT(*arguments)
    with pytest.raises(ValueError, match=r"must have shape \(4,\)"):
        initializers.STFT(window=np.ones(5))((4, 1, 3))
