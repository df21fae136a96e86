# SPDX-License-Identifier: Apache-2.0
"""Every layer of layer_cases.py against Keras: results, gradients, weights, configs.

The golden file is written by tools/record_keras_layers.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import live_cases
import numpy as np
import pytest
from layer_cases import CASES, Case, plain
from layer_runs import Run

import fastnn
from fastnn import Input, layers
from fastnn.serialization import exported

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


def recorded(case: Case) -> dict[str, np.ndarray]:
    prefix = f"{case.name}/"
    return {k[len(prefix) :]: ARRAYS[k] for k in ARRAYS.files if k.startswith(prefix)}


# Without numbers of their own: bases, the inputs of a model, their description. RReLU
# is not in Keras.
WITHOUT_CASES = {"InputLayer", "Layer", "RReLU", "Wrapper"}


def test_every_layer_has_a_case() -> None:
    """In the recorded table, or in live_cases.py for `make test-keras` alone."""
    made = {getattr(layers, c.layer).__name__ for c in (*CASES, *live_cases.CASES)}
    table = exported("keras.layers")
    # Old names are the same classes; functions (`add`) make a layer, or write one.
    classes = {c.__name__ for c in table.values() if isinstance(c, type)}
    assert classes - made == WITHOUT_CASES


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
    # Logits by an embedding's table keep the dtype of the weights.
    assert y.dtype.name == ("float32" if "reverse" in case.options else "bfloat16")
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
