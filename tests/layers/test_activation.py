# SPDX-License-Identifier: Apache-2.0
"""Activation layers against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import activations, layers
from fastnn.errors import ShapeError

X = np.linspace(-3, 3, 24).reshape(2, 3, 4)


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


CASES = {
    "Activation(relu)": (
        lambda **k: layers.Activation("relu", **k),
        lambda x: np.maximum(x, 0),
    ),
    "Activation(function)": (
        lambda **k: layers.Activation(activations.tanh, **k),
        np.tanh,
    ),
    "ReLU()": (lambda **k: layers.ReLU(**k), lambda x: np.maximum(x, 0)),
    "ReLU(max_value)": (
        lambda **k: layers.ReLU(max_value=1.5, **k),
        lambda x: np.clip(x, 0, 1.5),
    ),
    "ReLU(slope, threshold)": (
        lambda **k: layers.ReLU(negative_slope=0.1, threshold=1.0, **k),
        lambda x: np.where(x > 1, x, 0.1 * (x - 1)),
    ),
    "ReLU(all)": (
        lambda **k: layers.ReLU(2.0, 0.5, 0.5, **k),
        lambda x: np.where(x > 0.5, np.minimum(x, 2), 0.5 * (x - 0.5)),
    ),
    "LeakyReLU()": (
        lambda **k: layers.LeakyReLU(**k),
        lambda x: np.where(x > 0, x, 0.3 * x),
    ),
    "LeakyReLU(0.2)": (
        lambda **k: layers.LeakyReLU(negative_slope=0.2, **k),
        lambda x: np.where(x > 0, x, 0.2 * x),
    ),
    "ELU(0.7)": (
        lambda **k: layers.ELU(alpha=0.7, **k),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
    ),
    "Softmax()": (lambda **k: layers.Softmax(**k), lambda x: softmax(x, -1)),
    "Softmax(axis=1)": (
        lambda **k: layers.Softmax(axis=1, **k),
        lambda x: softmax(x, 1),
    ),
    "Softmax(axis=[1, 2])": (
        lambda **k: layers.Softmax(axis=[1, 2], **k),
        lambda x: softmax(x, (1, 2)),
    ),
    "PReLU()": (lambda **k: layers.PReLU(**k), lambda x: np.maximum(x, 0)),
    "PReLU(0.25)": (
        lambda **k: layers.PReLU(alpha_initializer=_quarter(), **k),
        lambda x: np.where(x > 0, x, 0.25 * x),
    ),
}


def _quarter():
    from fastnn.initializers import Constant

    return Constant(0.25)


@pytest.mark.parametrize("name", CASES)
def test_values_shapes_and_configs(name):
    make, expected = CASES[name]
    layer = make(dtype="float64")
    got = layer(X)
    np.testing.assert_allclose(got.numpy(), expected(X), rtol=1e-12, atol=1e-15)
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 4)
    again = layers.deserialize(layers.serialize(layer))
    np.testing.assert_array_equal(again(X).numpy(), got.numpy())


def test_softmax_with_a_mask():
    mask = np.array([True, False, True, True])
    got = layers.Softmax(dtype="float64")(X, mask=np.broadcast_to(mask, X.shape))
    expected = np.zeros(X.shape)
    expected[..., mask] = softmax(X[..., mask], -1)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-30)


@pytest.mark.parametrize("axis", [-1, [1, 2]])
def test_softmax_of_a_wholly_masked_axis_is_zero(axis):
    mask = np.ones(X.shape, bool)
    mask[0] = False
    got = layers.Softmax(axis, dtype="float64")(X, mask=mask).numpy()
    assert (got[0] == 0).all()
    axes = tuple(np.atleast_1d(axis))
    np.testing.assert_allclose(got[1:], softmax(X[1:], axes), rtol=1e-12)


@pytest.mark.feature("1C-9")
def test_prelu_shares_axes():
    layer = layers.PReLU(shared_axes=[1])
    layer.build((None, 3, 4))
    assert layer.alpha.shape == (1, 4) and layer.count_params() == 4
    with pytest.raises(ShapeError, match="axis has size 4"):
        layer(np.zeros((2, 3, 5)))


@pytest.mark.feature("1C-7")
def test_leaky_relu_knows_its_old_argument():
    with pytest.warns(FutureWarning, match=r"LeakyReLU\(negative_slope=0.2\)"):
        layer = layers.LeakyReLU(alpha=0.2)
    assert layer.negative_slope == 0.2


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: layers.ReLU(max_value=-1), "max_value"),
        (lambda: layers.ReLU(negative_slope=-1), "negative_slope"),
        (lambda: layers.ReLU(threshold=-1), "threshold"),
        (lambda: layers.LeakyReLU(negative_slope=-1), "negative_slope"),
        (lambda: layers.LeakyReLU(negative_slope=None), "negative_slope"),
    ],
)
def test_negative_arguments(make, argument):
    with pytest.raises(ValueError, match=f"{argument} must be >= 0, received"):
        make()
