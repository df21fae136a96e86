# SPDX-License-Identifier: Apache-2.0
"""keras.random: known answers, distributions beside SciPy, threads, corners."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import _core, convert_to_tensor, random
from fastnn.autodiff import raw
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Variable
from fastnn.graph.compile import function
from fastnn.opset import get_op
from fastnn.opset._philox import words_of

N = 200_000


def statistic(x, cdf):
    """Kolmogorov's distance times sqrt(n): above 1.95 once in 1000 fair draws."""
    x = np.sort(np.asarray(x, np.float64).reshape(-1))
    at = np.arange(len(x))
    c = cdf(x)
    return max((c - at / len(x)).max(), ((at + 1) / len(x) - c).max()) * len(x) ** 0.5


def chi_square_p(counts, expected):
    stats = pytest.importorskip("scipy.stats")
    counts, expected = np.asarray(counts, float), np.asarray(expected, float)
    keep = expected >= 5
    rest = counts[~keep].sum(), expected[~keep].sum()
    if rest[1] > 5:
        counts = np.append(counts[keep], rest[0])
        expected = np.append(expected[keep], rest[1])
    else:
        counts, expected = counts[keep], expected[keep]
    return stats.chi2.sf(((counts - expected) ** 2 / expected).sum(), len(counts) - 1)


# -- known answers --


@pytest.mark.parametrize(
    ("block", "seed", "step", "words"),
    [  # kat_vectors of Random123 for philox4x32-10
        (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, -1, -1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            0x85A308D3243F6A88,
            0x299F31D0A4093822,
            0x0370734413198A2E,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_reference_has_the_known_answers(block, seed, step, words):
    got = words_of(np.array([block], np.uint64), (seed, step))[0]
    assert " ".join(f"{w:08x}" for w in got) == words


def test_kernels_have_the_known_answer():
    words = random.randint((4,), 0, 2**32, "uint32", seed=0).numpy()
    assert [f"{w:08x}" for w in words] == "6627e8d5 e169c58d bc57ac4c 9b00dbd8".split()


def test_signatures_are_those_of_keras():
    wanted = """beta(shape, alpha, beta, dtype=None, seed=None)
    binomial(shape, counts, probabilities, dtype=None, seed=None)
    categorical(logits, num_samples, dtype='int32', seed=None)
    dropout(inputs, rate, noise_shape=None, seed=None)
    gamma(shape, alpha, dtype=None, seed=None)
    normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None)
    randint(shape, minval, maxval, dtype='int32', seed=None)
    shuffle(x, axis=0, seed=None)
    truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None)
    uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None)
    SeedGenerator(seed=None, name=None, **kwargs)"""
    for line in wanted.splitlines():
        name, rest = line.strip().split("(", 1)
        given = []
        for p in inspect.signature(getattr(random, name)).parameters.values():
            star = "**" if p.kind is p.VAR_KEYWORD else ""
            default = "" if p.default is p.empty else f"={p.default!r}"
            given.append(f"{star}{p.name}{default}")
        assert f"{', '.join(given)})" == rest, name


# -- distributions --

PARAMETERS = [
    ("uniform", (-1.0, 3.0), lambda s: s.uniform(-1, 4)),
    ("normal", (5.0, 0.5), lambda s: s.norm(5, 0.5)),
    ("truncated_normal", (1.0, 2.0), lambda s: s.truncnorm(-2, 2, 1, 2)),
    *(("gamma", (a,), lambda s, a=a: s.gamma(a)) for a in (0.3, 0.99, 1.0, 4.5, 1e3)),
    *(
        ("beta", ab, lambda s, ab=ab: s.beta(*ab))
        for ab in ((0.5, 0.5), (0.2, 3.0), (2.0, 2.0), (30.0, 400.0))
    ),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "args", "law"), PARAMETERS, ids=[f"{p[0]}{p[1]}" for p in PARAMETERS]
)
def test_laws(name, args, law, dtype):
    law = law(pytest.importorskip("scipy.stats"))
    x = getattr(random, name)((N,), *args, dtype=dtype, seed=1234).numpy()
    assert x.dtype == dtype
    x = x.astype(np.float64)
    assert statistic(x, law.cdf) < 1.95
    spread = np.sqrt(law.var() / N)
    assert abs(x.mean() - law.mean()) < 4 * spread
    kurtosis = float(law.stats(moments="k")) + 3
    assert abs(x.var() - law.var()) < 4 * law.var() * np.sqrt((kurtosis - 1) / N)


@pytest.mark.parametrize("alpha", [1e6, 1e12])
def test_gamma_of_a_huge_shape_is_nearly_normal(alpha):
    stats = pytest.importorskip("scipy.stats")
    x = random.gamma((N,), alpha, "float64", seed=3).numpy()
    z = (x - alpha) / np.sqrt(alpha)
    assert statistic(z, stats.norm.cdf) < 1.95


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiny_shapes_do_not_give_nan(dtype):
    x = random.gamma((1000,), 1e-3, dtype, seed=5).numpy()
    assert (x >= 0).all() and np.isfinite(x).all()
    y = random.beta((1000,), 1e-3, 1e-3, dtype, seed=5).numpy()
    assert ((y >= 0) & (y <= 1)).all()
    assert abs(y.mean() - 0.5) < 4 * 0.5 / np.sqrt(1000)


@pytest.mark.parametrize(
    ("n", "p"),
    [
        (1, 0.3),
        (10, 0.5),
        (40, 0.9),
        (30, 0.3),
        (200, 0.25),
        (1000, 0.6),
        (9000, 0.001),
    ],
)
def test_binomial_law(n, p):
    stats = pytest.importorskip("scipy.stats")
    x = random.binomial((N,), n, p, "float64", seed=77).numpy()
    assert (x == np.floor(x)).all() and x.min() >= 0 and x.max() <= n
    counts = np.bincount(x.astype(int), minlength=n + 1)
    assert chi_square_p(counts, stats.binom(n, p).pmf(np.arange(n + 1)) * N) > 1e-3


def test_binomial_of_many_trials():
    stats = pytest.importorskip("scipy.stats")
    n, p = 10**12, 0.3
    x = random.binomial((N,), n, p, "float64", seed=78).numpy()
    z = (x - n * p) / np.sqrt(n * p * (1 - p))
    assert statistic(z, stats.norm.cdf) < 1.95


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("int8", -128, 128), ("uint8", 3, 10), ("int32", -5, 95), ("int64", 0, 1000)],
)
def test_integers_are_equally_likely(dtype, low, high):
    x = random.randint((N,), low, high, dtype, seed=9).numpy()
    assert x.dtype == dtype
    counts = np.bincount(x.astype(int) - low, minlength=high - low)
    assert len(counts) == high - low
    assert chi_square_p(counts, np.full(high - low, N / (high - low))) > 1e-3


@pytest.mark.parametrize("span", [3 * 2**30, 3 * 2**62])
def test_integers_of_spans_that_reject_draws(span):
    x = random.randint((N,), 0, span, "uint64", seed=10).numpy()
    assert int(x.max()) < span
    counts = np.bincount((x // np.uint64(span // 12)).astype(int), minlength=12)
    assert chi_square_p(counts[:12], np.full(12, N / 12)) > 1e-3


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_full_ranges(dtype):
    info = np.iinfo(dtype)
    x = random.randint((5000,), info.min, int(info.max) + 1, dtype, seed=2).numpy()
    middle = float(info.min) / 2 + float(info.max) / 2
    width = float(info.max) - float(info.min)
    assert abs(x.astype(np.float64).mean() - middle) < 4 * width / np.sqrt(12 * 5000)
    assert (
        (random.randint((9,), info.max, int(info.max) + 1, dtype) == info.max)
        .numpy()
        .all()
    )


def test_categorical_law():
    p = np.array([[0.1, 0.2, 0.0, 0.7], [0.25, 0.25, 0.25, 0.25]])
    with np.errstate(divide="ignore"):
        x = random.categorical(np.log(p).astype("float32"), N, seed=3).numpy()
    assert x.dtype == np.int32 and x.shape == (2, N)
    for row, q in zip(x, p, strict=True):
        counts = np.bincount(row, minlength=4)
        assert counts[q == 0].sum() == 0
        assert chi_square_p(counts[q > 0], q[q > 0] * N) > 1e-3
    inf = random.categorical([[0.0, np.inf, 0.0]], 5, "int64", seed=1)
    np.testing.assert_array_equal(inf.numpy(), [[1] * 5])


def test_permutations_are_equally_likely():
    generator = random.SeedGenerator(11)
    counts: dict[tuple, int] = {}
    for _ in range(6000):
        order = tuple(
            int(i) for i in random.shuffle(np.arange(3), seed=generator).numpy()
        )
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert chi_square_p(list(counts.values()), [1000] * 6) > 1e-3


# -- purity --

DRAWS = {
    "uniform": lambda s, d: random.uniform((37, 11), -1.0, 2.0, d, s),
    "normal": lambda s, d: random.normal((37, 11), 1.0, 2.0, d, s),
    "truncated_normal": lambda s, d: random.truncated_normal((37, 11), dtype=d, seed=s),
    "randint": lambda s, d: random.randint((37, 11), -5, 1000, seed=s),
    "gamma": lambda s, d: random.gamma((37, 11), 0.7, d, s),
    "beta": lambda s, d: random.beta((37, 11), 0.7, 2.0, d, s),
    "binomial": lambda s, d: random.binomial((37, 11), 50.0, 0.4, d, s),
    "categorical": lambda s, d: random.categorical(
        np.zeros((37, 5), d), 11, "int32", s
    ),
    "shuffle": lambda s, d: random.shuffle(np.arange(37), seed=s),
    "dropout": lambda s, d: random.dropout(np.ones((37, 11), d), 0.3, seed=s),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DRAWS)
def test_draws_advance_with_the_generator_and_repeat_with_a_seed(name, dtype):
    def draw(seed):
        return DRAWS[name](seed, dtype).numpy()

    np.testing.assert_array_equal(draw(5), draw(5))
    assert (draw(5) != draw(6)).any()
    generator = random.SeedGenerator(5)
    first, second = draw(generator), draw(generator)
    np.testing.assert_array_equal(first, draw(5))
    assert (first != second).any()

    again = random.SeedGenerator(5)
    planned = function(lambda: DRAWS[name](again, dtype))
    np.testing.assert_array_equal(planned().numpy(), first)
    np.testing.assert_array_equal(planned().numpy(), second)


@pytest.mark.parametrize(
    "name", ["gamma", "beta", "binomial", "uniform", "normal", "randint"]
)
def test_an_element_does_not_depend_on_its_array(name):
    args = {
        "gamma": (0.4,),
        "beta": (0.5, 3.0),
        "binomial": (90.0, 0.3),
        "randint": (0, 77),
    }.get(name, ())
    draw = getattr(random, name)
    many, few = (draw((n,), *args, seed=4).numpy() for n in (1000, 77))
    np.testing.assert_array_equal(many[:77], few)


_DIGEST = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from test_random import DRAWS
digest = hashlib.sha256()
for dtype in ("float32", "float64"):
    for draw in DRAWS.values():
        digest.update(draw(5, dtype).numpy().tobytes())
print(digest.hexdigest())
"""


def test_bits_are_those_of_every_instruction_set():
    """float64 logarithms are libm's: the same on one machine."""
    code = _DIGEST.format(tests=os.path.dirname(__file__))
    found = {}
    for isa in _core.available_isas():
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "FASTNN_ISA": isa},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        found[isa] = run.stdout.strip()
    assert len(set(found.values())) == 1, found


def test_dropout_keeps_no_mask():
    x = Variable(np.ones((64, 64), "float32"))
    state = convert_to_tensor(np.array([7, 0]), dtype="int64")
    assert get_op("dropout").saves == ("state",)  # the tape keeps nothing else
    with GradientTape() as tape:
        y = raw.dropout(x, state, 0.4)
    grad = tape.gradient(y, x)
    np.testing.assert_array_equal(grad.numpy(), y.numpy())


# -- corners --


def test_corner_parameters():
    def binomial(n, p):
        return random.binomial((50,), n, p, seed=1).numpy()

    assert (binomial(0, 0.5) == 0).all()
    assert (binomial(9, 0.0) == 0).all()
    assert (binomial(9, 1.0) == 9).all()
    assert np.isnan(binomial(-1, 0.5)).all() and np.isnan(binomial(5, 1.5)).all()
    assert np.isnan(random.gamma((3,), -1.0, seed=1).numpy()).all()
    assert (random.gamma((3,), 0.0, seed=1).numpy() == 0).all()
    assert random.gamma((0, 3), 1.0).shape == (0, 3)
    assert (random.uniform((9,), 2.0, 2.0, seed=1).numpy() == 2).all()
    assert (random.dropout(np.ones(5, "float32"), 1.0, seed=1).numpy() == 0).all()
    assert (random.dropout(np.ones(5, "float32"), 0.0, seed=1).numpy() == 1).all()


def test_parameters_broadcast():
    alpha = np.array([[0.5], [100.0]], "float32")
    x = random.gamma((2, 500), alpha, seed=8).numpy()
    assert x[0].mean() < 1 and abs(x[1].mean() - 100) < 4 * 10 / np.sqrt(500)
    p = np.linspace(0, 1, 5)
    y = random.binomial((300, 5), 10, p, seed=8).numpy()
    np.testing.assert_allclose(y.mean(axis=0), 10 * p, atol=4 * np.sqrt(2.5 / 300))
    b = random.beta((300, 2), [1.0, 9.0], [9.0, 1.0], seed=8).numpy()
    np.testing.assert_allclose(b.mean(axis=0), [0.1, 0.9], atol=0.03)


def test_shuffle_along_axes():
    x = np.arange(24).reshape(4, 6)
    for axis in (0, 1, -1):
        y = random.shuffle(x, axis, seed=3).numpy()
        np.testing.assert_array_equal(np.sort(y, axis), x)
        assert (y != x).any()
    order = random.shuffle(np.arange(100), seed=3).numpy()
    np.testing.assert_array_equal(order, random.permutation(100, 3))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: random.randint((2,), 5, 5), "minval < maxval"),
        (lambda: random.randint((2,), 0, 300, "uint8"), "within uint8"),
        (lambda: random.randint((2,), 0, 3, "float32"), "integer type"),
        (lambda: random.uniform((2,), dtype="int32"), "float type"),
        (lambda: random.binomial((2,), 3, 0.5, "int32"), "float type"),
        (lambda: random.categorical(np.zeros(3), 2), "rows, classes"),
        (lambda: random.shuffle(np.zeros(3), 1), "out of range"),
        (lambda: random.gamma((2,), np.ones(3)), "broadcast"),
        (lambda: random.SeedGenerator(1.5), "integer"),
        (lambda: random.SeedGenerator(1, wrong=2), "wrong"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_seed_generator_config():
    generator = random.SeedGenerator(7, name="mine")
    assert generator.get_config() == {"seed": 7, "name": "mine"}
    again = random.SeedGenerator.from_config(generator.get_config())
    np.testing.assert_array_equal(again.next().numpy(), generator.next().numpy())
    np.testing.assert_array_equal(generator.next(ordered=False).numpy(), [7, 1])
