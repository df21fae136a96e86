# SPDX-License-Identifier: Apache-2.0
"""Each pass on small graphs: what it removes, and that the meaning stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, Variable, ops
from fastnn.autodiff import raw
from fastnn.errors import PlanError
from fastnn.graph import spec
from fastnn.graph.interpret import interpret
from fastnn.graph.ir import Graph
from fastnn.graph.layout import ARENA, Layout
from fastnn.graph.memory import lifetimes, place
from fastnn.graph.passes import dce, fold, fuse, optimize
from fastnn.graph.plan import Plan
from fastnn.graph.schedule import _phases, schedule
from fastnn.graph.trace import trace
from fastnn.opset import Spec
from fastnn.opset.gemm import BY_INPUT, BY_OUTPUT, EPILOGUES


def names(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes]


def traced(fn: Callable[..., Any], *arrays: np.ndarray) -> Graph:
    return trace(fn, [Spec(a.shape, a.dtype.name) for a in arrays])[0]


def check_same(graph: Graph, run: Callable[[Graph], None], *arrays: np.ndarray) -> None:
    """The pass keeps the graph well formed and its results bit for bit."""
    before = interpret(graph, list(arrays))
    run(graph)
    spec.verify(graph)
    after = interpret(graph, list(arrays))
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


X = np.random.default_rng(0).normal(size=(4, 6)).astype("f")


@pytest.mark.feature("1D-1c", "1D-37b")
def test_fold_computes_constants_and_drops_no_ops() -> None:
    def f(x):
        two = ops.cast(ops.ones((3,)), "float32") * 2.0 - 1.0
        y = ops.cast(x, "float32") * 1.0
        return ops.reshape(y, x.shape) * ops.sum(two)

    graph = traced(f, X)
    check_same(graph, fold.run, X)
    assert names(graph) == ["multiply"]


def test_fold_joins_scales_that_are_powers_of_two_only() -> None:
    def f(x):
        return ops.sum(x) / 32.0 * 32.0, ops.mean(x[:, :4]) * 8.0, x * 3.0 * 5.0

    graph = traced(f, X)
    check_same(graph, fold.run, X)
    graph.sort()
    dce.run(graph)
    scales = [
        float(n.inputs[1].payload) for n in graph.nodes if n.op.name == "multiply"
    ]
    assert scales.count(0.5) == 1  # the mean of 16, times 8
    assert {3.0, 5.0} <= set(scales)


def test_scales_that_leave_the_range_are_not_joined() -> None:
    x = np.array([0.0, 2.0**-126, 1.0], "f")

    def f(x):
        return x * 2.0**100 * 2.0**100, x * 2.0**-100 * 2.0**-100

    graph = traced(f, x)
    check_same(graph, fold.run, x)
    assert len(graph.nodes) == 4


def test_fold_shares_common_subexpressions_but_not_random_draws() -> None:
    state = Variable(np.array([1, 2], "int64"), trainable=False)

    def f(x):
        a, b = ops.exp(x), ops.exp(x)
        return a + b, raw.dropout(x, state, 0.5)

    graph = traced(f, X)
    check_same(graph, fold.run, X)
    assert sorted(names(graph)) == ["add", "dropout", "exp"]


def test_x_plus_zero_is_kept_for_the_sake_of_minus_zero() -> None:
    graph = traced(lambda x: x + 0.0, X)
    fold.run(graph)
    assert names(graph) == ["add"]


@pytest.mark.feature("1D-1b")
def test_dce_keeps_what_outputs_and_updates_need() -> None:
    v = Variable(0.0)

    def f(x):
        ops.exp(x)
        v.assign(ops.sum(x))
        return x * 2.0

    graph = traced(f, X)
    check_same(graph, dce.run, X)
    assert sorted(names(graph)) == ["multiply", "sum"]


@pytest.mark.parametrize("name", BY_OUTPUT[1:])
def test_fuse_puts_activations_and_their_gradients_into_the_product(name: str) -> None:
    w1, b1 = Variable(X.T @ X), Variable(np.zeros(6, "f"))
    w2, b2 = Variable(X.T.copy()), Variable(np.zeros(4, "f"))

    def f(x):
        with GradientTape() as tape:
            h = getattr(ops, name)(raw.linear(x, w1, b1))
            y = raw.linear(h, w2, b2)
            loss = ops.sum(y * y)
        return tape.gradient(loss, [w1, b1, w2, b2])

    graph = traced(f, X)
    fold.run(graph)
    check_same(graph, lambda g: (fuse.run(g), dce.run(g)), X)
    found = names(graph)
    assert found.count("linear") == 2
    assert "linear_grad_input" in found
    assert name not in found and f"{name}_grad" not in found


@pytest.mark.parametrize(
    ("name", "attrs"),
    [(name, {}) for name in EPILOGUES[1:] if name != "gelu_tanh"]
    + [
        ("elu", {"alpha": 0.5}),
        ("leaky_relu", {"negative_slope": 0.01}),
        ("gelu", {"approximate": True}),
        ("gelu", {"approximate": False}),
    ],
)
def test_inference_fuses_every_epilogue(name: str, attrs: dict) -> None:
    w, b = Variable(X.T.copy()), Variable(np.ones(4, "f"))
    graph = traced(lambda x: getattr(raw, name)(raw.linear(x, w, b), **attrs), X)
    check_same(graph, fuse.run, X)
    assert names(graph) == ["linear"]


@pytest.mark.parametrize("name", BY_INPUT[:-1])
def test_training_keeps_the_preactivation_where_the_gradient_reads_it(
    name: str,
) -> None:
    w, b = Variable(X.T.copy()), Variable(np.ones(4, "f"))

    def f(x):
        with GradientTape() as tape:
            loss = ops.sum(ops.square(getattr(raw, name)(raw.linear(x, w, b))))
        return tape.gradient(loss, [w, b])

    graph = traced(f, X)
    check_same(graph, lambda g: (fuse.run(g), dce.run(g)), X)
    found = names(graph)
    assert name in found and f"{name}_grad" in found
    assert found.count("linear") == 1


@pytest.mark.parametrize(("hidden", "out"), [(3, 3), (9, 2)])
@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_convolutions_take_bias_activation_and_its_gradient(
    name: str, hidden: int, out: int
) -> None:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype("f")

    image = normal(2, 6, 5, 3)
    w1, b1 = Variable(normal(3, 3, 3, hidden)), Variable(normal(hidden))
    w2, b2 = Variable(normal(3, 3, out, hidden)), Variable(normal(out))

    def f(x):
        with GradientTape() as tape:
            z = ops.conv(x, w1, 1, "same") + ops.reshape(b1, (1, 1, 1, hidden))
            h = getattr(ops, name)(z)
            y = ops.conv_transpose(h, w2, 2, "same") + b2
            loss = ops.sum(ops.square(y))
        return tape.gradient(loss, [w1, b1, w2, b2])

    graph = traced(f, image)
    fold.run(graph)
    check_same(graph, lambda g: (fuse.run(g), dce.run(g)), image)
    found = names(graph)
    assert "add" not in found
    assert name not in found
    biased = [n for n in graph.nodes if n.op.name in ("conv", "conv_transpose")]
    assert [n.inputs[2].shape for n in biased if n.attrs[-2] == name] == [(hidden,)]


@pytest.mark.parametrize("name", ["relu6", "silu", "gelu"])
def test_depthwise_convolutions_take_bias_and_activation(name: str) -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(size=(2, 6, 5, 3)).astype("f")
    w = Variable(rng.normal(size=(3, 3, 3, 2)).astype("f"))
    b = Variable(rng.normal(size=6).astype("f"))

    def f(x):
        z = ops.depthwise_conv(x, w, 1, "same") + ops.reshape(b, (1, 1, 1, 6))
        return getattr(raw, name)(z)

    graph = traced(f, image)
    fold.run(graph)
    check_same(graph, lambda g: (fuse.run(g), dce.run(g)), image)
    assert [n.op.name for n in graph.nodes if n.op.kind != "view"] == ["depthwise_conv"]


def test_the_activation_gradient_joins_the_input_gradient_of_a_convolution() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(size=(2, 6, 5, 3)).astype("f")
    w1, w2 = (Variable(rng.normal(size=(3, 3, 3, 3)).astype("f")) for _ in range(2))

    def f(x):
        with GradientTape() as tape:
            h = ops.relu(ops.conv(x, w1, 1, "same"))
            loss = ops.sum(ops.square(ops.conv(h, w2, 2)))
        return tape.gradient(loss, [w1, w2])

    graph = traced(f, image)
    fold.run(graph)
    check_same(graph, lambda g: (fuse.run(g), dce.run(g)), image)
    found = names(graph)
    assert "conv_grad_input" in found
    assert not {"relu_grad", "conv_transpose"} & set(found)


def test_an_activation_whose_input_is_also_read_is_not_fused() -> None:
    w, b = Variable(X.T.copy()), Variable(np.zeros(4, "f"))

    def f(x):
        z = raw.linear(x, w, b)
        return raw.relu(z), raw.exp(z)

    graph = traced(f, X)
    check_same(graph, fuse.run, X)
    assert "relu" in names(graph)


def test_softmax_beside_its_cross_entropy_costs_nothing() -> None:
    labels = np.array([0, 1, 2, 3], "int64")

    def f(z, y):
        return raw.softmax(z), raw.sparse_softmax_cross_entropy(z, y)[0]

    graph = traced(f, X, labels)
    before = interpret(graph, [X, labels])
    fuse.run(graph)
    spec.verify(graph)
    assert names(graph) == ["sparse_softmax_cross_entropy"]
    for a, b in zip(before, interpret(graph, [X, labels]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_in_place_only_where_nobody_else_reads() -> None:
    def chain(x):
        return ops.exp(ops.relu(x * 2.0) + 1.0)

    graph = optimize(traced(chain, X))
    layout = Layout(graph)
    assert len([s for s in layout.storages if s.home == ARENA]) == 1

    def fork(x):
        y = x * 2.0
        return ops.exp(y), ops.tanh(y)

    layout = Layout(optimize(traced(fork, X)))
    arena = [s for s in layout.storages if s.home == ARENA]
    assert len(arena) == 2  # the last reader may overwrite y, the first may not
    plan = Plan(optimize(traced(fork, X)))
    a, b = plan.run([X])
    np.testing.assert_allclose(a, np.exp(2 * X), rtol=1e-5)
    np.testing.assert_allclose(b, np.tanh(2 * X), rtol=1e-5)


def test_live_ranges_never_overlap_in_the_arena() -> None:
    """Random graphs: storages alive in a common phase have disjoint addresses."""
    rng = np.random.default_rng(3)
    for _ in range(30):
        graph = optimize(traced(_random_program(rng), X))
        layout = Layout(graph)
        steps = schedule(layout, 2)
        total = place(layout, steps)
        spans = list(lifetimes(layout, steps).items())
        for i, (s, (a, b)) in enumerate(spans):
            assert s.offset % 64 == 0 and s.offset + s.nbytes <= total
            for t, (c, d) in spans[:i]:
                if a <= d and c <= b:
                    apart = (
                        s.offset + s.nbytes <= t.offset
                        or t.offset + t.nbytes <= s.offset
                    )
                    assert apart, (s.offset, s.nbytes, t.offset, t.nbytes)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_random_programs_run_as_they_mean(threads: int) -> None:
    from fastnn import _core

    rng = np.random.default_rng(5)
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        for _ in range(40):
            graph = traced(_random_program(rng), X)
            expected = interpret(graph, [X])
            optimize(graph)
            spec.verify(graph)
            plan = Plan(graph)
            plan.cost = 1e9  # as many threads as there are
            for _ in range(3):
                for a, b in zip(plan.run([X]), expected, strict=True):
                    np.testing.assert_array_equal(a, b)
    finally:
        _core.set_num_threads(before)


def _random_program(rng: np.random.Generator) -> Callable[[Any], Any]:
    choices = rng.integers(0, 9, size=14)
    picks = rng.integers(0, 1000, size=(14, 2))

    def program(x):
        pool = [x]
        for choice, (i, j) in zip(choices, picks, strict=True):
            a, b = pool[i % len(pool)], pool[j % len(pool)]
            if choice == 0:
                pool.append(a + b)
            elif choice == 1:
                pool.append(ops.tanh(a) * b)
            elif choice == 2:
                pool.append(ops.relu(a))
            elif choice == 3:
                pool.append(a - ops.max(b, axis=1, keepdims=True))
            elif choice == 4:
                pool.append(ops.softmax(a))
            elif choice == 5:
                pool.append(ops.transpose(ops.transpose(a) * 0.5))
            elif choice == 6:
                pool.append(a[::-1] + b)
            elif choice == 7:
                pool.append(ops.reshape(ops.reshape(a, (6, 4)), (4, 6)) * 0.9)
            else:
                pool.append(a * ops.mean(b))
        return pool[-1], pool[-2]

    return program


def test_steps_that_wait_for_each_other_are_an_error() -> None:
    """Not an endless loop: `_phases` must place a step in every round."""
    steps = schedule(Layout(optimize(traced(lambda x: ops.exp(ops.sin(x)), X))), 1)
    for step, other in (steps, steps[::-1]):
        step.phase, step.after = -1, [(other, False)]
    with pytest.raises(PlanError, match="wait for each other"):
        _phases(steps)
