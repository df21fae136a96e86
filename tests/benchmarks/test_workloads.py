# SPDX-License-Identifier: Apache-2.0
"""The table of workloads: shapes, weights, work and titles follow from the layers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import peers
from benchmarks.goals import TRAINING
from benchmarks.layers import Dropout, folded
from benchmarks.peers import PEERS
from benchmarks.peers._numpy_layers import NODES
from benchmarks.workloads import WORKLOADS, initial_weights, load


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_rows_are_whole(name, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_BENCH_DATA", str(tmp_path))  # no real data there
    work = WORKLOADS[name]
    x, y, source = load(work)
    weights = initial_weights(work)
    assert source.startswith("synthetic")
    assert work.samples % work.batch == 0
    assert work.steps >= 10  # as many as are compared with the oracle
    assert work.shortened().steps >= 10
    assert x.shape == (work.samples, *work.input_shape)
    assert x.dtype == np.float32
    assert len(y) == work.samples
    assert {w.dtype for w in weights} == {np.dtype(np.float32)}
    assert {type(layer) for layer in work.layers} <= set(NODES)
    for layer, shape, own in work.stack(weights):
        expected = layer.weights(shape, np.random.default_rng(0))
        assert [w.shape for w in own] == [w.shape for w in expected]


# As Keras 3's count_params() says for the same layers.
PARAMETERS = {
    "mlp32": 266_610,
    "mlp128": 623_290,
    "reg32": 301,
    "deep32": 279_410,
    "wide512": 5_824_522,
    "lenet64": 421_642,
    "cnn32": 1_413_834,
}


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_as_many_weights_as_keras_has(name):
    weights = initial_weights(WORKLOADS[name])
    assert sum(w.size for w in weights) == PARAMETERS[name]


def test_every_workload_has_a_goal():
    assert set(TRAINING) == set(WORKLOADS)


def test_work_counts_three_products_but_two_in_the_first_layer():
    assert WORKLOADS["mlp32"].flops_per_sample() == 4 * 784 * 300 + 6 * (30_000 + 1_000)
    first, second = 28 * 28 * 9 * 32, 14 * 14 * 9 * 32 * 64
    dense = 7 * 7 * 64 * 128 + 128 * 10
    assert WORKLOADS["lenet64"].flops_per_sample() == 4 * first + 6 * (second + dense)


def test_titles_fold_repetitions():
    assert folded(["a", "b", "a", "b", "c"]) == "2 x (a, b), c"
    assert folded(["a", "a", "b"]) == "2 x a, b"
    assert folded(["a", "b", "c"]) == "a, b, c"
    assert WORKLOADS["deep32"].sheet()["model"] == (
        "784, 20 x (Dense 100, BatchNorm, Elu), Dense 10 softmax"
    )


def test_losses_are_compared_without_masks():
    assert WORKLOADS["mlp32"].without_dropout() == WORKLOADS["mlp32"]
    silent = WORKLOADS["cnn32"].without_dropout()
    assert len(silent.layers) == len(WORKLOADS["cnn32"].layers)
    assert {d.rate for d in silent.layers if isinstance(d, Dropout)} == {0.0}


def test_peers_have_their_files():
    folder = Path(peers.__file__).parent
    for info in PEERS.values():
        assert (folder / f"{info.module}.py").exists()
        assert info.distributions
