# SPDX-License-Identifier: Apache-2.0
"""Every activation against its formula in float64 NumPy, values and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastnn import activations, convert_to_tensor
from fastnn.autodiff.grad import GradientTape
from fastnn.serialization import exported

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(size=(5, 6)) * 3, [[0, 1, -1, 6, 3, -3]]])
ERF = np.vectorize(math.erf)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


def project(z):
    """Projection on the simplex by sorting."""
    rows = []
    for row in z:
        s = np.sort(row)[::-1]
        k = np.arange(1, len(s) + 1)
        size = k[1 + k * s > np.cumsum(s)].max()
        rows.append(np.maximum(row - (s[:size].sum() - 1) / size, 0))
    return np.array(rows)


def softplus(x):
    return np.logaddexp(x, 0)


FORMULAS = {
    "celu": lambda x: np.maximum(x, 0) + np.minimum(0, np.expm1(x)),
    "elu": elu,
    "exponential": np.exp,
    "gelu": lambda x: x * 0.5 * (1 + ERF(x / np.sqrt(2))),
    "glu": lambda x: x[:, :3] * sigmoid(x[:, 3:]),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": lambda x: np.log(softmax(x)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softmax": softmax,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparsemax": project,
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "threshold": lambda x: np.where(x > 0.3, x, 0.7),
}
ARGUMENTS = {"threshold": (0.3, 0.7)}
ALIASES = {"swish", "hard_swish"}


def test_no_activation_is_forgotten():
    assert set(exported("keras.activations")) == set(FORMULAS) | ALIASES


def call(name, x):
    return getattr(activations, name)(x, *ARGUMENTS.get(name, ()))


@pytest.mark.feature("1A-14", "1A-16", "1C-10")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_values(name, dtype):
    y = call(name, convert_to_tensor(X, dtype=dtype))
    assert y.dtype == dtype
    rtol, atol = (2e-6, 1e-6) if dtype == "float32" else (1e-12, 1e-14)
    np.testing.assert_allclose(y.numpy(), FORMULAS[name](X), rtol, atol)


@pytest.mark.feature("1A-21")
@pytest.mark.parametrize("name", sorted(set(FORMULAS) - {"linear"}))
def test_gradients(name):
    # Away from the kinks at integers and halves, where finite differences lie.
    x = X[:5] + 0.013
    weights = RNG.normal(size=FORMULAS[name](x).shape)
    with GradientTape() as tape:
        t = convert_to_tensor(x)
        tape.watch(t)
        loss = (call(name, t) * convert_to_tensor(weights)).__matmul__(
            np.ones((weights.shape[1], 1))
        )
    grad = tape.gradient(loss, t).numpy()
    step = 1e-6
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        change = FORMULAS[name](up) - FORMULAS[name](down)
        expected = (change * weights).sum() / (2 * step)
        assert grad[index] == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("options", "formula"),
    [
        ({"negative_slope": 0.1}, lambda x: np.where(x > 0, x, 0.1 * x)),
        ({"max_value": 2.0}, lambda x: np.clip(x, 0, 2)),
        ({"threshold": 1.0}, lambda x: np.where(x > 1, x, 0)),
        (
            {"negative_slope": 0.2, "max_value": 1.5, "threshold": 0.5},
            lambda x: np.where(x > 0.5, np.minimum(x, 1.5), 0.2 * (x - 0.5)),
        ),
    ],
)
def test_options_of_relu(options, formula):
    y = activations.relu(X.astype("float32"), **options).numpy()
    np.testing.assert_allclose(y, formula(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
def test_axis(name):
    y = getattr(activations, name)(X.T, axis=0).numpy()
    np.testing.assert_allclose(y, FORMULAS[name](X).T, rtol=1e-12, atol=1e-14)


def test_approximate_gelu():
    inner = np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)
    y = activations.gelu(X, approximate=True).numpy()
    np.testing.assert_allclose(y, 0.5 * X * (1 + np.tanh(inner)), 1e-12, 1e-14)


def test_glu_needs_an_even_axis():
    with pytest.raises(ValueError, match="even"):
        activations.glu(np.ones((2, 3)))


@pytest.mark.parametrize("name", ["sigmoid", "softmax", "softplus", "tanh", "selu"])
def test_extreme_values_stay_finite(name):
    y = getattr(activations, name)(np.float32([[-1e4, 1e4]])).numpy()
    assert np.isfinite(y).all()
