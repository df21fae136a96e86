# SPDX-License-Identifier: Apache-2.0
"""Data sets split and cut into windows; packed batches; Config."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import utils

X = np.arange(20).reshape(10, 2)
Y = np.arange(10) * 100


@pytest.mark.parametrize(
    ("sizes", "left", "right"),
    [
        ({"left_size": 0.8}, 8, 2),
        ({"left_size": 3}, 3, 7),
        ({"right_size": 0.25}, 8, 2),
        ({"left_size": 2, "right_size": 0.3}, 2, 3),
    ],
)
def test_parts_are_the_first_and_the_last_samples(
    sizes: Any, left: int, right: int
) -> None:
    a, b = utils.split_dataset((X, Y), **sizes)
    assert (len(a), len(b)) == (left, right)
    for part, want in ((a, X[:left]), (b, X[-right:])):
        np.testing.assert_array_equal(part.arrays()[0], want)
        x, y = part[len(part) - 1]
        np.testing.assert_array_equal(x, want[-1])
        assert y == want[-1][0] * 50
        assert len(list(part)) == len(part)
    batches = list(a.batch(2))
    np.testing.assert_array_equal(batches[0][1], Y[:2])
    assert sum(len(x) for x, _ in batches) == left


def test_a_shuffled_split_has_every_sample_once() -> None:
    a, b = utils.split_dataset(X, 4, shuffle=True, seed=3)
    both = np.concatenate([a.arrays(), b.arrays()])
    assert not np.array_equal(both, X)
    np.testing.assert_array_equal(np.sort(both, 0), X)
    again, _ = utils.split_dataset(X, 4, shuffle=True, seed=3)
    np.testing.assert_array_equal(again.arrays(), a.arrays())


def test_other_data_sets_are_split_too() -> None:
    class Batches(utils.Sequence):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            rows = slice(index * 3, index * 3 + 3)
            return X[rows], Y[rows]

    a, b = utils.split_dataset(Batches(), 0.5)
    assert [len(x) for x, _ in a] == [3, 2]
    np.testing.assert_array_equal(np.concatenate([y for _, y in b]), Y[5:])
    samples = ({"x": x, "y": y} for x, y in zip(X, Y, strict=True))
    a, b = utils.split_dataset(samples, right_size=1)
    np.testing.assert_array_equal(a.arrays()["x"], X[:9])
    assert b[0]["y"] == 900
    model = fastnn.Sequential([fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    a, b = utils.split_dataset((X.astype("f") / 20, Y.astype("f") / 900), 0.6)
    history = model.fit(a.batch(4), validation_data=b.batch(2), epochs=2, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: utils.split_dataset(X), ValueError, "give left_size"),
        (lambda: utils.split_dataset(X, 10), ValueError, "left_size must"),
        (lambda: utils.split_dataset(X, 1.0), ValueError, "left_size must"),
        (lambda: utils.split_dataset(X, "1"), TypeError, "left_size must"),
        (lambda: utils.split_dataset(X, 0.7, 0.7), ValueError, "cannot be split"),
        (lambda: utils.split_dataset(X, 0.01), ValueError, "neither part"),
        (lambda: utils.split_dataset((X, Y[:3]), 2), ValueError, "one length"),
        (lambda: utils.split_dataset(3, 2), TypeError, "dataset must"),
    ],
)
def test_a_split_that_cannot_be(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[split_dataset\].*{text}"):
        call()


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize("rate", [1, 2])
@pytest.mark.parametrize("limits", [(None, None), (2, 17)])
@pytest.mark.parametrize("batch", [4, None])
def test_windows_of_a_series(batch: Any, limits: Any, rate: int, stride: int) -> None:
    series = np.arange(40.0).reshape(20, 2)
    goals = np.arange(20) * 10
    data = utils.timeseries_dataset_from_array(
        series,
        goals,
        5,
        sequence_stride=stride,
        sampling_rate=rate,
        batch_size=batch,
        start_index=limits[0],
        end_index=limits[1],
    )
    first, last = limits[0] or 0, limits[1] or 20
    starts = [s for s in range(first, last, stride) if s + 4 * rate < last]
    found = list(data)
    if batch is None:
        assert found[0][0].shape == (5, 2)
        xs = np.stack([x for x, _ in found])
        ys = np.stack([y for _, y in found])
    else:
        assert len(found[0][0]) == min(batch, len(starts))
        xs, ys = (np.concatenate(part) for part in zip(*found, strict=True))
    want = np.stack([series[s : s + 4 * rate + 1 : rate] for s in starts])
    np.testing.assert_array_equal(xs, want)
    np.testing.assert_array_equal(ys, goals[starts])


def test_shuffled_windows_change_with_the_epoch_and_train_a_model() -> None:
    series = np.sin(np.arange(60.0))[:, None].astype("float32")
    data = utils.timeseries_dataset_from_array(
        series[:-4], series[4:], 4, batch_size=8, shuffle=True, seed=1
    )
    before = np.concatenate([x for x, _ in data])
    data.on_epoch_end()
    after = np.concatenate([x for x, _ in data])
    assert not np.array_equal(before, after)
    key = np.lexsort(before[:, :, 0].T)
    np.testing.assert_array_equal(before[key], after[np.lexsort(after[:, :, 0].T)])
    model = fastnn.Sequential([fastnn.layers.Flatten(), fastnn.layers.Dense(1)])
    model.compile("adam", "mse")
    assert np.isfinite(model.fit(data, epochs=2, verbose=0).history["loss"]).all()
    alone = utils.timeseries_dataset_from_array(series, None, 3)
    assert next(iter(alone)).shape == (58, 3, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"sampling_rate": 0},
        {"sequence_stride": 99},
        {"start_index": -1},
        {"start_index": 5, "end_index": 5},
        {"end_index": 99},
        {"format": "csv"},
    ],
)
def test_windows_that_cannot_be(options: Any) -> None:
    with pytest.raises(ValueError, match=r"^\[timeseries_dataset_from_array\]"):
        utils.timeseries_dataset_from_array(Y, None, 2, **options)


def test_packing_and_unpacking() -> None:
    assert utils.pack_x_y_sample_weight(X) is X
    assert utils.pack_x_y_sample_weight([X]) == ([X],)
    for packed in ((X,), (X, Y), (X, Y, Y)):
        x, y, w = utils.unpack_x_y_sample_weight(packed)
        assert x is X
        again = utils.pack_x_y_sample_weight(x, y, w)
        assert again is X or again == packed
    with pytest.raises(ValueError, match="tuple of 4"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_config() -> None:
    config = utils.Config(rate=0.1, steps=3)
    config.seed = 7
    config["more"] = [1]
    assert config.seed == config["seed"] == config.get("seed") == 7
    assert config.get("none", 5) == 5
    assert list(config) == ["more", "rate", "seed", "steps"]
    assert len(config) == 4
    assert "rate" in config
    assert json.loads(config.to_json()) == config.as_dict() == dict(config.items())
    assert config.pop("more") == [1]
    config.update(rate=0.2)
    del config["steps"]
    assert repr(config) == "<Config {'rate': 0.2, 'seed': 7}>"
    with pytest.raises(AttributeError, match="did you mean 'rate'"):
        _ = config.rat
    with pytest.raises(AttributeError, match="part of Config"):
        config.keys = 3
    config.freeze()
    assert config.frozen
    for change in (
        lambda: setattr(config, "seed", 1),
        lambda: config.update(seed=1),
        lambda: config.pop("seed"),
    ):
        with pytest.raises(ValueError, match="frozen"):
            change()
    copy = pickle.loads(pickle.dumps(config))
    assert copy.as_dict() == config.as_dict()
    assert copy.frozen
    config.unfreeze()
    config.seed = 8
    assert config.seed == 8


def test_source_inputs() -> None:
    a, b = fastnn.Input((3,)), fastnn.Input((3,))
    y = fastnn.layers.Dense(2)(fastnn.ops.add(a, b) * 2)
    found = utils.get_source_inputs(y)
    assert len(found) == 2
    assert found[0] is a
    assert found[1] is b
    assert utils.get_source_inputs(a) == [a]
    assert utils.get_source_inputs(X) is X
    assert utils.is_keras_tensor(y)
    assert not utils.is_keras_tensor(X)
    assert utils.standardize_dtype(np.int16) == "int16"


def test_interactive_logging_is_one_switch() -> None:
    assert utils.is_interactive_logging_enabled()
    utils.disable_interactive_logging()
    try:
        assert not fastnn.config.is_interactive_logging_enabled()
    finally:
        utils.enable_interactive_logging()
