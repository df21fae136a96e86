# SPDX-License-Identifier: Apache-2.0
"""Activation gradients below poolings and reshapes: who moves, and that no bit does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import GradientTape, ops
from fastnn.autodiff import raw
from fastnn.graph import spec
from fastnn.graph.interpret import interpret
from fastnn.graph.ir import Graph
from fastnn.graph.passes import commute, dce, fold, optimize
from fastnn.graph.trace import trace
from fastnn.opset import Spec

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 8, 8, 3)).astype("f")
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype("f")


def training(activation: Any, size: int, stride: int, flat: bool = False) -> Graph:
    """Gradients of the kernels below a pooling, and of what the pooling feeds."""
    pooled = (8 - size) // stride + 1
    dense = RNG.normal(size=(pooled * pooled * 4, 5)).astype("f")

    def f(x: Any, w: Any, v: Any) -> Any:
        with GradientTape() as tape:
            tape.watch([w, v])
            y = activation(ops.conv(x, w, padding="same"))
            y = ops.max_pool(y, size, stride)
            if flat:
                y = ops.reshape(y, (2, -1)) @ v
            loss = ops.sum(ops.square(y))
        return tape.gradient(loss, [w, v])

    arrays = X, KERNEL, dense
    graph = trace(f, [Spec(a.shape, a.dtype.name) for a in arrays])[0]
    for step in (fold, dce):
        step.run(graph)
    before = interpret(graph, list(arrays))
    commute.run(graph)
    spec.verify(graph)
    for a, b in zip(before, interpret(graph, list(arrays)), strict=True):
        np.testing.assert_array_equal(a, b)
    return graph


def gradient_of(graph: Graph, name: str) -> Any:
    return next(n for n in graph.nodes if n.op.name == name)


@pytest.mark.parametrize("name", ["relu", "elu", "sigmoid", "tanh"])
def test_activation_gradient_goes_below_a_pooling(name: str) -> None:
    graph = training(getattr(ops, name), 2, 2)
    gradient = gradient_of(graph, f"{name}_grad")
    assert gradient.outputs[0].shape == (2, 4, 4, 4)  # no longer 8 x 8
    assert gradient.inputs[1].node.op.name == "max_pool_with_index"


@pytest.mark.parametrize(("name", "moves"), [("relu", True), ("elu", False)])
def test_of_overlapping_windows_only_relu_moves(name: str, moves: bool) -> None:
    """A sum of products rounds differently from a product of the sum."""
    graph = training(getattr(ops, name), 3, 2)
    shape = gradient_of(graph, f"{name}_grad").outputs[0].shape
    assert shape == ((2, 3, 3, 4) if moves else (2, 8, 8, 4))


def test_it_reaches_the_product_below_flatten_and_is_fused() -> None:
    graph = training(ops.relu, 2, 2, flat=True)
    assert gradient_of(graph, "relu_grad").outputs[0].shape == (2, 64)
    names = [n.op.name for n in optimize(graph).nodes]
    assert "linear_grad_input" in names
    assert "relu_grad" not in names


def test_gradients_with_another_reader_stay() -> None:
    def f(x: Any) -> Any:
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.relu(x)
            tape.watch(y)
            loss = ops.sum(ops.square(ops.max_pool(y, 2, 2)))
        return tape.gradient(loss, [x, y])

    graph = trace(f, [Spec(X.shape, "float32")])[0]
    for step in (fold, dce, commute):
        step.run(graph)
    spec.verify(graph)
    assert gradient_of(graph, "relu_grad").outputs[0].shape == X.shape


def forward(case: str, x: Any, w: Any, b: Any) -> Any:
    if case == "sequence":
        rows = raw.linear(ops.reshape(x, (16, 24)), w, b)
        return ops.relu(ops.reshape(rows, (2, 8, 4)))
    x = ops.transpose(x, (0, 3, 1, 2))
    y = ops.conv(x, ops.reshape(w, (2, 4, 3, 4)), data_format="channels_first")
    return ops.relu(y)


@pytest.mark.parametrize("case", ["sequence", "channels_first"])
@pytest.mark.parametrize("trained", [False, True])
def test_activations_reach_products_below_views(case: str, trained: bool) -> None:
    arrays = X, RNG.normal(size=(24, 4)).astype("f"), RNG.normal(size=4).astype("f")

    def f(x: Any, w: Any, b: Any) -> Any:
        if not trained:
            return forward(case, x, w, b)
        with GradientTape() as tape:
            tape.watch([w, b])
            y = forward(case, x, w, b)
            loss = ops.sum(ops.square(y))
        return y, tape.gradient(loss, [w])

    graph = trace(f, [Spec(a.shape, a.dtype.name) for a in arrays])[0]
    before = interpret(graph, list(arrays))
    names = [n.op.name for n in optimize(graph).nodes]
    assert "relu" not in names
    for a, b in zip(before, interpret(graph, list(arrays)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_activation_stays_above_a_view_that_others_read() -> None:
    def f(x: Any, w: Any, b: Any) -> Any:
        z = ops.reshape(raw.linear(ops.reshape(x, (16, 24)), w, b), (2, 8, 4))
        return ops.relu(z), ops.sum(z)

    arrays = X, RNG.normal(size=(24, 4)).astype("f"), RNG.normal(size=4).astype("f")
    graph = trace(f, [Spec(a.shape, a.dtype.name) for a in arrays])[0]
    assert "relu" in [n.op.name for n in optimize(graph).nodes]
