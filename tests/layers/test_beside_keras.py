# SPDX-License-Identifier: Apache-2.0
"""Every layer beside an installed Keras on torch: the same inputs, the same weights.

All rows of layer_cases.py and live_cases.py: outputs, gradients in the inputs and the
weights, changed weights, carried masks; with and without training, in three policies.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import live_cases
import numpy as np
import pytest
from layer_cases import CASES, Case
from layer_runs import Run

import fastnn
from fastnn import ops

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
if keras.__name__ != "keras" or keras.backend.backend() != "torch":
    pytest.skip("needs Keras on torch", allow_module_level=True)
import torch  # noqa: E402
from keras.src.backend.common import dtypes  # noqa: E402
from keras_layer_runs import KerasRun, array, draws  # noqa: E402

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(keras.__version__ < "3.15", reason="needs Keras 3.15"),
    # NumPy 2 asks Keras's variables for copies.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Of float64 inputs: moments, masked scores or the window's spectrum are in float32;
# as are slopes of hard_sigmoid.
KERAS_IN_FLOAT32 = (
    "BatchNormalization",
    "GroupNormalization",
    "MelSpectrogram",
    "MultiHeadAttention-2",
    "STFTSpectrogram",
)


def with_training() -> list[Any]:
    """Each row with its own `training` and the opposite."""
    found = []
    for case in (*CASES, *live_cases.CASES):
        other = case._replace(training=not case.training)
        for each in (case, other):
            label = {None: "", True: "-training", False: "-inference"}[each.training]
            found.append(pytest.param(each, id=case.name + label))
    return found


every_case = pytest.mark.parametrize("case", with_training())


DRAWING: dict[str, bool] = {}


def pair(case: Case, dtype: str) -> tuple[Run, KerasRun]:
    if case.training and case.name not in DRAWING:
        DRAWING[case.name] = draws(case)
    if case.training and DRAWING[case.name]:
        pytest.skip("random: see test_random_layers_have_the_same_distribution")
    return Run(case, dtype), KerasRun(case, dtype)


@pytest.fixture(autouse=True)
def float64_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, what two float64 make is float32 in Keras, but on TensorFlow."""
    monkeypatch.setitem(dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")


def assert_results(mine: Run, theirs: KerasRun, rtol: float) -> None:
    """Outputs, gradients and changed weights agree to `rtol` of the largest."""
    got, expected = mine.eagerly(), theirs.results()
    if not theirs.differentiates:
        got = {name: got[name] for name in expected}
    for name in expected.keys() - got.keys():
        assert not array(expected.pop(name)).any(), f"{name} is missing"
    for name in got.keys() - expected.keys():
        assert not got.pop(name).any(), f"{name} is none in Keras"
    for name, value in expected.items():
        assert str(value.dtype) == f"torch.{got[name].dtype}", name
    wanted = {name: array(value) for name, value in expected.items()}
    statistics = theirs.statistics()
    assert mine.statistics().keys() == statistics.keys()
    got, wanted = got | mine.statistics(), wanted | statistics
    for name, value in wanted.items():
        size = np.abs(value).max(initial=1)
        found = got[name].astype(value.dtype)
        np.testing.assert_allclose(found, value, rtol, rtol * size, err_msg=name)


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-9)])
@every_case
def test_results_and_gradients(case: Case, dtype: str, rtol: float) -> None:
    if case.name.startswith(KERAS_IN_FLOAT32) or "hard_sigmoid" in str(case.arguments):
        rtol = 1e-5
    mine, theirs = pair(case, dtype)
    assert_results(mine, theirs, rtol)
    if case.arguments.get("stateful"):
        assert_results(mine, theirs, rtol)


# Torch has no such kernels of bfloat16 on a CPU.
NOT_IN_BFLOAT16 = ("AveragePooling3D", "STFTSpectrogram")


@every_case
def test_mixed_precision(case: Case) -> None:
    """Keras's dtypes; errors, against Keras in float64, like those of Keras.

    Its variables on torch lose what is assigned in a call under a mixed policy (the
    copy in the compute dtype is written), so changed weights are those in float64.
    """
    if case.name.startswith(NOT_IN_BFLOAT16):
        pytest.skip("torch cannot")
    mine, theirs = pair(case, "mixed_bfloat16")
    got, found = mine.eagerly(), theirs.results()
    reference = KerasRun(case, "float64")
    exact = reference.results()
    for name, value in found.items():
        assert str(value.dtype) == f"torch.{got[name].dtype}", name
        wanted = array(exact[name])
        size = np.abs(wanted).max(initial=1)
        errors = [
            np.abs(a - wanted).max() for a in (got[name].astype("f"), array(value))
        ]
        assert errors[0] <= 2 * errors[1] + 0.02 * size, name
    changed, statistics = mine.statistics(), reference.statistics()
    assert changed.keys() == statistics.keys()
    for name, wanted in statistics.items():
        size = np.abs(wanted).max(initial=1)
        np.testing.assert_allclose(
            changed[name], wanted, 0.02, 0.02 * size, err_msg=name
        )


def mask_for(x: Any, name: str) -> np.ndarray:
    rng = np.random.default_rng(len(name))
    return rng.random(x.shape[:2]) > 0.4


def masks_of(outputs: list[Any]) -> list[Any]:
    found = [getattr(y, "_keras_mask", None) for y in outputs]
    return [None if m is None else np.asarray(m) for m in found]


# Steps are on axis 1: in Keras as here no mask of steps fits other axes, or a mask that
# is given beside. Heads on several axes, and states of nested recurrent layers, fail.
NO_MASK_OF_STEPS = {
    "GlobalAveragePooling1D-2",
    "MultiHeadAttention-5",
    "MultiHeadAttention-6",
    "TimeDistributed+0",
}


def takes_steps(case: Case) -> bool:
    shapes = case.shapes
    if case.layer == "Softmax" or case.name in NO_MASK_OF_STEPS:
        return False
    if case.layer == "BatchNormalization" and len(shapes[0]) > 3:
        return False
    return not (case.masked or case.states) and all(len(s) > 2 for s in shapes)


WITH_STEPS = [case for case in (*CASES, *live_cases.CASES) if takes_steps(case)]


@pytest.mark.parametrize("case", WITH_STEPS, ids=lambda case: case.name)
def test_carried_masks(case: Case) -> None:
    """The results and the outputs' masks when the inputs carry masks."""
    mine, theirs = Run(case, "float64"), KerasRun(case, "float64")
    own = [ops.convert_to_tensor(x) for x in mine.inputs]
    for i, (a, b) in enumerate(zip(own, theirs.inputs, strict=True)):
        mask = mask_for(b, case.name + "x" * i)
        a._keras_mask = ops.convert_to_tensor(mask)
        b._keras_mask = torch.from_numpy(mask)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        expected = keras.tree.flatten(theirs.call())
    destroyed = any("masking" in str(w.message) for w in warned)
    # Keras warns of the inner projections, but the masks are used and carried on.
    destroyed &= case.layer != "GroupQueryAttention"
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        got = keras.tree.flatten(mine.call(own))
    assert any("masking" in str(w.message) for w in warned) == destroyed
    tol = 1e-5 if case.name.startswith(KERAS_IN_FLOAT32) else 1e-9
    for y, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), array(wanted), tol, tol)
    for mask, wanted in zip(masks_of(got), masks_of(expected), strict=True):
        np.testing.assert_array_equal(mask, wanted)


# Layers that draw numbers in training: the class, its arguments, the shape of inputs.
RANDOM = [
    ("Dropout", {"rate": 0.3}, (40, 500)),
    ("Dropout", {"rate": 0.3, "noise_shape": (None, 1)}, (20000, 3)),
    ("GaussianNoise", {"stddev": 0.5}, (40, 500)),
    ("GaussianDropout", {"rate": 0.3}, (40, 500)),
    ("AlphaDropout", {"rate": 0.3}, (40, 500)),
    ("SpatialDropout1D", {"rate": 0.3}, (100, 3, 200)),
    ("SpatialDropout2D", {"rate": 0.3}, (100, 3, 2, 200)),
    ("SpatialDropout3D", {"rate": 0.3}, (100, 2, 2, 2, 200)),
]


@pytest.mark.parametrize(("name", "options", "shape"), RANDOM)
def test_random_layers_have_the_same_distribution(name, options, shape) -> None:
    """Kolmogorov-Smirnov distance of the factors and of what the axes share."""
    x = np.ones(shape, "float32")
    mine, theirs = (
        np.asarray(getattr(lib.layers, name)(**options)(x, training=True))
        for lib in (fastnn, keras)
    )
    first, second = (np.sort(a.ravel().round(4)) for a in (mine, theirs))
    places = np.concatenate([first, second])
    shares = [np.searchsorted(a, places, "right") / a.size for a in (first, second)]
    axes = tuple(range(1, len(shape) - 1)) or (1,)
    alike = [(np.ptp(a, axis=axes) < 1e-6).mean() for a in (mine, theirs)]
    drawn = len(x) if "noise_shape" in options else x.shape[0] * x.shape[-1]
    # 2.2 is passed by one run of 8,000.
    assert np.abs(shares[0] - shares[1]).max() < 2.2 * np.sqrt(2 / drawn)
    assert abs(alike[0] - alike[1]) < 0.05
