# SPDX-License-Identifier: Apache-2.0
"""Graphs on a device give what plans of the CPU give: whole training steps."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from cuda_models import CASES, train

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.graph.device_plan import DevicePlan
from fastnn.graph.passes import optimize
from fastnn.graph.trace import trace
from fastnn.models import steps as model_steps
from fastnn.opset import Spec


@pytest.mark.parametrize("name", CASES)
def test_fit_on_a_device_equals_fit_on_the_cpu(name, monkeypatch) -> None:
    expected = train(name)
    plans = []
    device = EmulatedDevice()

    def plan(graph, *, planned):
        plans.append(DevicePlan(graph, device))
        return plans[-1]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    found = train(name)
    assert plans, "nothing ran on the device"
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(found[2], expected[2], rtol=2e-4, atol=2e-5)


def on_device(fn, *arrays):
    """What a traced function gives as a plan of the emulated device."""
    specs = [Spec(a.shape, a.dtype.name) for a in arrays]
    graph, _ = trace(fn, specs, "f")
    return DevicePlan(optimize(graph), EmulatedDevice()).run(list(arrays))


X = np.arange(12, dtype="float32").reshape(4, 3)
OUTPUTS = {
    "an input reversed": (lambda x: x[::-1], X[::-1]),
    "a result reversed": (lambda x: (x + x)[::-1, ::2], 2 * X[::-1, ::2]),
    "turned": (lambda x: raw.transpose(x * x, (1, 0)), (X * X).T),
    "repeated": (lambda x: raw.broadcast_to(x + x, (2, 4, 3)), np.stack([2 * X] * 2)),
    "of no elements": (lambda x: (x + x)[2:2], X[2:2]),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_are_views_are_those_of_numpy(name) -> None:
    fn, expected = OUTPUTS[name]
    (found,) = on_device(fn, X)
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
    assert found.base is None


BAD = np.array([[0, 1], [2, -9], [1, 77]], "int32")
ONE = np.array([9], "int64")
OUT_OF_RANGE = {
    "take": (lambda x, i: raw.take(x, i), X, BAD),
    "batch_take": (lambda x, i: raw.batch_take(x, i), np.stack([X] * 3), BAD),
    "take_grad": (lambda y, i: raw.take_grad(y, i, 4), np.ones((6, 3), "float32"), BAD),
    "gather_rows": (
        lambda x, order, at: raw.gather_rows(x, order, at, 2, "float32"),
        X,
        np.array([3, 11, 0], "int64"),
        ONE * 0,
    ),
    "gather_rows beyond": (
        lambda x, order, at: raw.gather_rows(x, order, at, 2, "float32"),
        X,
        np.arange(4),
        ONE,
    ),
    "dynamic_slice": (
        lambda x, at: raw.dynamic_slice(x, at, (2, 2)),
        X,
        np.array([0, 2], "int64"),
    ),
    "update_slice": (
        lambda x, at, u: raw.update_slice(x, at, u),
        X,
        np.array([3, 0], "int64"),
        X[:2, :2].copy(),
    ),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_an_index_out_of_range_is_the_error_of_the_cpu(name) -> None:
    fn, *arrays = OUT_OF_RANGE[name]
    with pytest.raises(ValueError, match=r"\[") as of_cpu:
        fn(*(Tensor(a) for a in arrays))
    with pytest.raises(ValueError, match=r"\[") as of_device:
        on_device(fn, *arrays)
    assert str(of_device.value) == str(of_cpu.value)


def test_a_plan_runs_on_after_an_index_was_out_of_range() -> None:
    specs = [Spec((4, 3), "float32"), Spec((2,), "int32")]
    graph, _ = trace(lambda x, i: raw.take(x, i), specs, "f")
    plan = DevicePlan(optimize(graph), EmulatedDevice())
    with pytest.raises(ValueError, match="index 4 at position \\(1\\)"):
        plan.run([X, np.array([0, 4], "int32")])
    (found,) = plan.run([X, np.array([3, -4], "int32")])
    np.testing.assert_array_equal(found, X[[3, 0]])
