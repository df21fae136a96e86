# SPDX-License-Identifier: Apache-2.0
"""Configs without a file: large weights are refused, or drawn last."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from benchmarks.memory import Peak
from fastnn import initializers, keras, layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model, model_from_json
from fastnn.saving import limits

FREE = 64 << 20


def described(*listed, shape=(8,)):
    model = keras.Sequential([keras.Input(shape), *listed])
    return json.loads(model.to_json())


def with_units(config, *sizes):
    dense = [one for one in config["config"]["layers"] if "units" in one["config"]]
    for one, units in zip(dense, sizes, strict=True):
        one["config"]["units"] = units
        one.pop("build_config", None)  # which tells the sizes of before
    return json.dumps(config)


HUGE = {
    "one layer of 16 GB": (2**29,),
    "one layer of terabytes": (10**12,),
    "more numbers than there are addresses": (2**62,),
    "layers of 1 GB each": (1 << 12, 1 << 16, 1 << 12, 1 << 16, 1 << 12, 1 << 16),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_weights_are_refused_before_they_are_drawn(name, monkeypatch):
    sizes = HUGE[name]
    text = with_units(described(*(layers.Dense(2) for _ in sizes)), *sizes)
    drawn = []
    draw = initializers.GlorotUniform.__call__

    def noted(self, shape, dtype=None, **more):
        drawn.append(4 * int(np.prod(shape, dtype=object)))
        return draw(self, shape, dtype, **more)

    monkeypatch.setattr(initializers.GlorotUniform, "__call__", noted)
    peak, began = Peak(), time.perf_counter()
    with pytest.raises(ModelFileError, match="without a file may have") as error:
        model_from_json(text)
    assert "bytes" in str(error.value)
    assert time.perf_counter() - began < 10
    assert sum(drawn) <= limits.DRAWN_AT_ONCE
    grown = peak.above()
    assert grown is None or grown < 2 * len(text) + FREE + limits.DRAWN_AT_ONCE


def test_large_weights_are_drawn_last_and_as_ever(monkeypatch):
    monkeypatch.setattr(limits, "DRAWN_AT_ONCE", 1000)
    text = with_units(described(*(layers.Dense(2) for _ in range(3))), 40, 30, 3)
    made = []
    for at_once in (1000, 1 << 30):
        monkeypatch.setattr(limits, "DRAWN_AT_ONCE", at_once)
        keras.utils.set_random_seed(3)
        made.append(model_from_json(text))
    late, early = (model.get_weights() for model in made)
    for mine, other in zip(late, early, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert np.ptp(late[2]) > 0  # 40 x 30, which is above 1000 bytes
    x = np.ones((2, 8), "float32")
    np.testing.assert_array_equal(made[0].predict(x), made[1].predict(x))


@keras.saving.register_keras_serializable("new_weights")
class Assigned(layers.Layer):
    """Gives its weight a value while it is built."""

    def build(self, shape):
        self.kernel = self.add_weight((shape[-1], 64), "ones")
        self.kernel.assign(np.full(self.kernel.shape, 7, "float32"))

    def call(self, x):
        return x @ self.kernel


def test_what_a_layer_assigned_stays(monkeypatch):
    monkeypatch.setattr(limits, "DRAWN_AT_ONCE", 0)
    model = model_from_json(json.dumps(described(Assigned())))
    assert (model.get_weights()[0] == 7).all()


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU, layers.SimpleRNN])
def test_states_of_a_huge_batch_are_refused(kind, tmp_path):
    model = keras.Sequential(
        [keras.Input(batch_shape=(2, 3, 4)), kind(2, stateful=True)]
    )
    config = json.loads(model.to_json())
    text = json.dumps(config).replace("[2, 3, 4]", f"[{10**9}, 3, 4]")
    assert str(10**9) in text
    began = time.perf_counter()
    with pytest.raises(ModelFileError, match="of states"):
        model_from_json(text)
    assert time.perf_counter() - began < 10


def test_states_of_usual_batches_load(tmp_path):
    model = keras.Sequential(
        [keras.Input(batch_shape=(64, 3, 4)), layers.LSTM(128, stateful=True)]
    )
    model.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    x = np.ones((64, 3, 4), "float32")
    np.testing.assert_array_equal(
        again.predict(x, batch_size=64), model.predict(x, batch_size=64)
    )
