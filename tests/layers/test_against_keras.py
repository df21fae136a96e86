# SPDX-License-Identifier: Apache-2.0
"""Every layer of layer_cases.py against Keras: results, gradients, weights, configs.

The golden file is written by tools/record_keras_layers.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layer_cases import CASES, Case, plain, uniform, weight

import fastnn
from fastnn import Input, layers, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor

GOLDEN = Path(__file__).parent / "golden"
FACTS = json.loads((GOLDEN / "keras_layers.json").read_text())
ARRAYS = np.load(GOLDEN / "keras_layers.npz")

# Of float64 inputs; test_normalization.py has NumPy's float64 for them.
# MultiHeadAttention-2 runs torch's causal kernel; spectrograms have weights of the mel
# scale, and clipped powers, in float32 (numeric gradients agree with fastnn's).
KERAS_IN_FLOAT32 = {
    "BatchNormalization",
    "GroupNormalization",
    "MelSpectrogram",
    "MultiHeadAttention-2",
    "STFTSpectrogram-5",
    "STFTSpectrogram-7",
}

every_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


class Run:
    """A built layer with the case's weights, and what it is called on."""

    def __init__(self, case: Case, dtype: str) -> None:
        rng = case.rng()
        self.case = case
        self.layer = case.make(layers, dtype=dtype)
        dtype = "float32" if dtype.startswith("mixed") else dtype
        self.inputs = [a if case.classes else a.astype(dtype) for a in case.inputs(rng)]
        self.masks: dict[str, Any] = dict(case.drawn_masks())
        self.shapes = case.arranged([(None, *a.shape[1:]) for a in self.inputs])
        self.layer.build(*self.shapes)
        drawn = [weight(rng, w.name, w.shape) for w in self.layer.weights]
        self.layer.set_weights(drawn)
        self._before = self.layer.get_weights()
        self._rng, self._dtype, self._c = rng, dtype, None

    def call(self, inputs: list[Any], masks: dict[str, Any] | None = None) -> Any:
        masks = self.masks if masks is None else masks
        arguments = self.case.arranged(inputs)
        return self.layer(*arguments, **masks, **self.case.keywords())

    def output_shape(self) -> list[Any]:
        reverse = {k: v for k, v in self.case.options.items() if k == "reverse"}
        return list(self.layer.compute_output_shape(*self.shapes, **reverse))

    def results(self, *inputs: Tensor) -> dict[str, Any]:
        """Outputs and gradients, by their names in the golden file."""
        watched = [] if self.case.classes else list(inputs)
        trained = self.layer.trainable_weights
        with GradientTape() as tape:
            tape.watch(watched)
            y = self.call(list(inputs))
            if self._c is None:
                self._c = uniform(self._rng, y.shape).astype(self._dtype)
            total = ops.sum(ops.multiply(y, self._c))
        sources = [*watched, *trained]
        gradients = tape.gradient(total, sources) if sources else []
        names = [f"dx{i}" for i in range(len(watched))]
        names += [f"d{w.name}" for w in trained]
        pairs = zip(names, gradients, strict=True)
        return {"y": y, **{name: dx for name, dx in pairs if dx is not None}}

    def eagerly(self) -> dict[str, np.ndarray]:
        results = self.results(*(ops.convert_to_tensor(a) for a in self.inputs))
        return {name: value.numpy() for name, value in results.items()}

    def statistics(self) -> dict[str, np.ndarray]:
        """Weights that the call has changed."""
        pairs = zip(self.layer.weights, self._before, strict=True)
        return {
            w.name: w.numpy() for w, old in pairs if not np.array_equal(w.numpy(), old)
        }


def recorded(case: Case) -> dict[str, np.ndarray]:
    prefix = f"{case.name}/"
    return {k[len(prefix) :]: ARRAYS[k] for k in ARRAYS.files if k.startswith(prefix)}


@pytest.mark.feature("1A-4", "1F-2", "1F-5", "1F-8", "1F-10", "1F-23", "1F-37", "1F-38")
@pytest.mark.parametrize(("dtype", "tol"), [("float64", 3e-7), ("float32", 1e-5)])
@every_case
def test_results_and_gradients(case: Case, dtype: str, tol: float) -> None:
    if any(name in repr(case) for name in KERAS_IN_FLOAT32):
        tol = 1e-5
    run = Run(case, dtype)
    got, expected = run.eagerly(), recorded(case)
    assert all(value.dtype == dtype for value in got.values())
    got |= run.statistics()
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, tol, tol, err_msg=name)


@pytest.mark.feature("4C-32")
@every_case
def test_weights_and_output_shape(case: Case) -> None:
    run, facts = Run(case, "float32"), FACTS[case.name]
    assert [[w.name, list(w.shape)] for w in run.layer.weights] == facts["weights"]
    assert run.output_shape() == facts["output_shape"]
    y = run.call(run.inputs)
    assert len(y.shape) == len(facts["output_shape"])
    for got, expected in zip(y.shape, facts["output_shape"], strict=True):
        assert expected in (got, None)


@every_case
def test_symbolic_outputs(case: Case) -> None:
    run = Run(case, "float32")
    dtype = "int32" if case.classes else "float32"
    inputs = [Input(a.shape[1:], dtype=dtype) for a in run.inputs]
    masks = {k: Input(a.shape[1:], dtype="bool") for k, a in run.masks.items()}
    y = run.call(inputs, masks)
    assert list(y.shape) == FACTS[case.name]["output_shape"]
    assert y.dtype == "float32"
    model = fastnn.Model([*inputs, *masks.values()], y)
    given = [*run.inputs, *run.masks.values()]
    got = model(given, training=case.training).numpy()
    np.testing.assert_allclose(got, recorded(case)["y"], 1e-5, 1e-5)


@every_case
def test_plan_equals_eager(case: Case) -> None:
    eager, planned = Run(case, "float64"), Run(case, "float64")
    expected = eager.eagerly()
    got = fastnn.function(planned.results)(*planned.inputs)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name].numpy(), value, 1e-12, 1e-13, err_msg=name)
    for name, value in eager.statistics().items():
        np.testing.assert_allclose(planned.statistics()[name], value, 1e-13, 1e-14)


@every_case
def test_mixed_precision(case: Case) -> None:
    """Computed in bfloat16 (Keras's results within its precision), kept in float32."""
    run = Run(case, "mixed_bfloat16")
    results = run.eagerly()
    y, expected = results["y"], recorded(case)["y"]
    assert y.dtype.name == "bfloat16"
    largest = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(y.astype("f"), expected, 0, 0.03 * largest)
    assert {w.dtype for w in run.layer.weights} <= {"float32", "int32"}
    wanted = {f"d{w.name}" for w in run.layer.trainable_weights} & set(results)
    assert {results[name].dtype.name for name in wanted} <= {"float32"}
    planned = Run(case, "mixed_bfloat16")
    got = fastnn.function(planned.results)(*planned.inputs)
    for name, value in results.items():
        assert got[name].dtype == value.dtype, name
        size = max(np.abs(value.astype("f")).max(), 1e-3)
        found = got[name].numpy().astype("f")
        np.testing.assert_allclose(found, value.astype("f"), 0, 0.02 * size)


@every_case
def test_config_round_trip(case: Case) -> None:
    layer = case.make(layers)
    config = layers.serialize(layer)
    again = layers.deserialize(json.loads(json.dumps(config)))
    assert type(again) is type(layer)
    assert plain(again.get_config()) == plain(layer.get_config())


def known(got: Any, expected: Any) -> Any:
    """Without what Keras does not write, also in inner configs."""
    if isinstance(expected, dict):
        return {k: known(got.get(k, "missing"), v) for k, v in expected.items()}
    if isinstance(expected, list) and len(got) == len(expected):
        return [known(a, b) for a, b in zip(got, expected, strict=True)]
    return got


first_cases = pytest.mark.parametrize(
    "case", [c for c in CASES if "serialized" in FACTS[c.name]], ids=lambda c: c.layer
)


@first_cases
def test_config_is_that_of_keras(case: Case) -> None:
    layer = case.make(layers)
    expected = plain(FACTS[case.name]["serialized"]["config"])
    got = plain(layer.get_config())
    assert known(got, expected) == expected


@first_cases
def test_keras_configs_make_our_layers(case: Case) -> None:
    layer = layers.deserialize(FACTS[case.name]["serialized"])
    own = case.make(layers)
    assert type(layer) is type(own)
    assert layer.dtype == "float64"
    assert plain(layer.get_config()) == plain(own.get_config())
