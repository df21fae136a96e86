# SPDX-License-Identifier: Apache-2.0
"""Rematerialized blocks: the same bits, on the tape and in plans, in less memory."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, RematScope, Sequential, Variable, layers, ops, remat
from fastnn.autodiff import raw
from fastnn.autodiff._tape import state
from fastnn.random import SeedGenerator, dropout
from fastnn.utils import set_random_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 32)).astype("f")
LABELS = RNG.integers(0, 4, 64)


def same(layer: Any) -> Any:
    return layer


def weights(count: int = 3) -> list[Variable]:
    rng = np.random.default_rng(1)
    return [Variable(rng.normal(size=(32, 32)).astype("f") * 0.2) for _ in range(count)]


def deep(x: Any, ws: list[Variable]) -> Any:
    for w in ws:
        x = ops.gelu(ops.matmul(x, w))
    return x


def gradients(block: Any, ws: list[Variable]) -> list[np.ndarray]:
    x = ops.convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        loss = ops.sum(block(block(x, ws), ws) ** 2)
    return [g.numpy() for g in tape.gradient(loss, [x, *ws])]


def test_gradients_on_the_tape_are_the_same_bits() -> None:
    ws = weights()
    for a, b in zip(gradients(deep, ws), gradients(remat(deep), ws), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_in_a_function_are_the_same_bits() -> None:
    ws = weights()

    def compiled(block: Any) -> list[np.ndarray]:
        @fastnn.function
        def step(x: Any) -> Any:
            with GradientTape() as tape:
                loss = ops.sum(block(block(x, ws), ws) ** 2)
            return tape.gradient(loss, ws)

        return [g.numpy() for g in step(ops.convert_to_tensor(X))]

    for a, b in zip(compiled(deep), compiled(remat(deep)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_tape_keeps_no_intermediates() -> None:
    ws = weights(8)

    def held(block: Any) -> int:
        gc.collect()
        before = fastnn._core.buffer_stats()["live_bytes"]
        with GradientTape() as tape:
            y = block(X, ws)
        after = fastnn._core.buffer_stats()["live_bytes"]
        assert y.shape == X.shape and tape is not None
        return after - before

    assert held(deep) >= 8 * X.nbytes
    assert held(remat(deep)) <= 2 * X.nbytes


def test_structures_keywords_and_several_outputs() -> None:
    w = Variable(np.float32(3.0))

    @remat
    def block(inputs: Any, *, scale: float) -> Any:
        return {"a": inputs["x"] * w * scale, "b": [inputs["y"] + inputs["x"], w * w]}

    x, y = ops.convert_to_tensor(2.0), ops.convert_to_tensor(5.0)
    with GradientTape() as tape:
        tape.watch([x, y])
        out = block({"x": x, "y": y}, scale=10.0)
        total = out["a"] + 100.0 * out["b"][0]
    assert [float(g) for g in tape.gradient(total, [x, y, w])] == [130.0, 100.0, 20.0]


def test_gradients_of_gradients() -> None:
    cube = remat(lambda x: x * x * x)
    x = Variable(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = cube(x)
        dy = inner.gradient(y, x)
    assert float(dy) == 12.0
    assert float(outer.gradient(dy, x)) == 12.0


@pytest.mark.parametrize("planned", [False, True], ids=["tape", "plan"])
def test_what_a_block_assigns_is_assigned_once(planned: bool) -> None:
    count = Variable(0.0, trainable=False)
    w = Variable(2.0)

    @remat
    def block(x: Any) -> Any:
        count.assign_add(1.0)
        return x * w * count

    def step(x: Any) -> Any:
        with GradientTape() as tape:
            y = block(block(x))
        return tape.gradient(y, w)

    run = fastnn.function(step) if planned else step
    x = ops.convert_to_tensor(1.0)
    # y = w * 1 * w * 2, later w * 3 * w * 4: each block reads the count of its own.
    assert float(run(x)) == 8.0
    assert float(count.numpy()) == 2.0
    assert float(run(x)) == 48.0
    assert float(count.numpy()) == 4.0


@pytest.mark.parametrize("planned", [False, True], ids=["tape", "plan"])
def test_dropout_drops_the_same_elements_again(planned: bool) -> None:
    w = Variable(np.ones((32,), "f"))

    def drop(seed: SeedGenerator) -> Any:
        return lambda x: dropout(x * w, 0.5, seed=seed)

    def run(wrap: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seed = SeedGenerator(3)
        block = wrap(drop(seed))

        def step(x: Any) -> Any:
            with GradientTape() as tape:
                y = block(block(x))
            return y, tape.gradient(y, w)

        found = (fastnn.function(step) if planned else step)(ops.convert_to_tensor(X))
        return found[0].numpy(), found[1].numpy(), seed.state.numpy()

    for a, b in zip(run(same), run(remat), strict=True):
        np.testing.assert_array_equal(a, b)


def stack(depth: int, units: int, wrap: Any = same, every: int = 1) -> Any:
    set_random_seed(0)
    model = Sequential([layers.Input((units,))])
    for _ in range(depth // every):
        block = [layers.Dense(units, activation="silu") for _ in range(every)]
        inner = block[0] if every == 1 else Sequential([layers.Input((units,)), *block])
        model.add(wrap(inner))
    model.add(layers.Dense(4, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_the_arena_of_a_deep_stack_falls() -> None:
    x, y = np.zeros((512, 512), "f"), np.zeros(512, int)

    def arena(model: Any) -> int:
        model.fit(x, y, batch_size=512, verbose=0)
        return int(model.plan()._native.arena_bytes)

    plain = arena(stack(20, 512))
    by_layer = arena(stack(20, 512, remat))
    by_blocks = arena(stack(20, 512, remat, every=5))
    assert by_layer < 0.6 * plain
    assert by_blocks < 0.45 * plain


@pytest.mark.parametrize("every", [1, 3])
def test_fit_gives_the_same_bits(every: int) -> None:
    def trained(wrap: Any) -> list[bytes]:
        model = stack(6, 32, wrap, every)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # it must stay one plan
            model.fit(X, LABELS, batch_size=20, epochs=3, verbose=0)
        return [w.tobytes() for w in model.get_weights()]

    assert trained(same) == trained(remat)


def test_prediction_does_nothing_twice() -> None:
    model = stack(3, 32, remat)
    model.predict(X, verbose=0)
    ops_of = [s.node.op.name for s in model.plan("predict")._steps]
    assert ops_of.count("linear") == 4


MODES = {
    "full": ({"mode": "full"}, [True, True]),
    "none": ({"mode": None}, [False, False]),
    "larger": ({"mode": "larger_than", "output_size_threshold": 16}, [True, False]),
    "listed": ({"mode": "list_of_layers", "layer_names": ["b"]}, [False, True]),
}


@pytest.mark.parametrize("name", MODES)
def test_a_scope_chooses_layers(name: str) -> None:
    options, expected = MODES[name]
    with RematScope(**options):
        a, b = layers.Dense(32, "gelu", name="a"), layers.Dense(8, "gelu", name="b")
    for layer, blocked in zip((a, b), expected, strict=True):
        layer.build((None, 32))
        with GradientTape() as tape:
            layer(X)
        assert (len(tape._tape.records) == 1) is blocked, layer.name


def test_only_the_activation() -> None:
    with RematScope("activations"):
        layer = layers.Dense(8, activation=lambda x: ops.exp(ops.exp(x) * -1.0))
    before = layer.activation
    layer.build((None, 32))
    with GradientTape() as tape:
        y = layer(X)
    names = [getattr(r.op, "name", "") for r in tape._tape.records]
    assert names == ["linear", "<lambda>"] and layer.activation is before
    plain = layers.Dense(8, activation=before)
    plain.build((None, 32))
    plain.set_weights(layer.get_weights())
    with GradientTape() as other:
        z = plain(X)
    ours, theirs = tape.gradient(y, layer.kernel), other.gradient(z, plain.kernel)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one of 'full', .* received 'all'"):
        RematScope("all")

    class Penalized(layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(ops.sum(inputs))
            return inputs

    layer, text = remat(Penalized()), remat(lambda t: "text")
    x = ops.convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(RuntimeError, match="add_loss inside"):
            layer(x)
        with pytest.raises(TypeError, match="must return tensors"):
            text(x)
    assert state().tapes == [] and raw.add(x, x).shape == x.shape


def test_outside_a_tape_it_is_the_function_itself() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return x * 2.0

    block = remat(f)
    np.testing.assert_array_equal(block(ops.convert_to_tensor(X)).numpy(), X * 2)
    assert len(calls) == 1 and block.__name__ == "f"
