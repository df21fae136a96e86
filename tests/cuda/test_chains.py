# SPDX-License-Identifier: Apache-2.0
"""Pointwise steps as one kernel: what is fused, what is not, and the same bits."""

from __future__ import annotations

import cuda_nvrtc as nvrtc
import ml_dtypes
import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from cuda_models import CASES, train

import fastnn
from fastnn import ops
from fastnn.autodiff import raw
from fastnn.backends.cuda import chains, source
from fastnn.backends.cuda import device as devices
from fastnn.backends.cuda.launches import Launch
from fastnn.graph.device_plan import DevicePlan
from fastnn.graph.passes import optimize
from fastnn.graph.plan import Plan
from fastnn.graph.trace import trace
from fastnn.models import steps as model_steps
from fastnn.opset import Spec


def traced(fn, arrays):
    specs = [Spec(a.shape, a.dtype.name) for a in arrays]
    return optimize(trace(fn, specs, "f")[0])


def planned(fn, *arrays):
    """The plan of a function on the emulated device."""
    return DevicePlan(traced(fn, arrays), EmulatedDevice())


def names(plan):
    """The ops of each kernel."""
    return [[node.op.name for node in group.nodes] for group in plan.groups]


def numbers(*shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(dtype)


X, Y, ROW = numbers(90, 202), numbers(90, 202, seed=1), numbers(202, seed=2)
BFLOAT16 = X.astype(ml_dtypes.bfloat16)
BYTES = np.random.default_rng(3).integers(0, 250, (130, 200)).astype("uint8")

CHAINS = {
    "unary and binary": (lambda x, y: ops.tanh(x * y + x) * y, X, Y),
    "a row, a column, a number": (
        lambda x, b: (x + b) * x[:, :1] - 2.0,
        X,
        ROW,
    ),
    "rows of whole packs": (
        lambda x, b: ops.elu(x + b, 0.7),
        X[:, :200].copy(),
        ROW[2:],
    ),
    "attributes": (
        lambda x: ops.gelu(ops.leaky_relu(ops.elu(x, 0.3), 0.4), approximate=False),
        X,
    ),
    "a choice": (lambda x, y: ops.where(x > y, ops.exp(x), -y) * 3.0, X, Y),
    "16-bit floats": (lambda x: ops.sigmoid(x * x + x) / (x + 3), BFLOAT16),
    "conversions": (
        lambda x: ops.cast(
            ops.cast(ops.cast(x, "bfloat16") * 3, "float32") + x, "int32"
        ),
        X,
    ),
    "bytes": (lambda x: ops.cast(x, "float32") / 255.0 - 0.5, BYTES),
    "float64": (lambda x: ops.sqrt(ops.abs(x)) + ops.square(x), X.astype("float64")),
    "bools": (lambda x, y: ops.logical_and(x > 0, ops.logical_not(y > x)), X, Y),
    "large integers": (lambda x: ops.bitwise_xor(x * x, x + 7), BYTES.astype("int64")),
    "from the middle of memory": (lambda x: ops.exp(x[1:, 3:]) * x[:-1, :-3], X),
    "turned and reversed": (lambda x: ops.transpose(x)[::-1] * 2 + 1, X),
    "few elements": (lambda x: ops.tanh(x + 1) * x, X[:3, :5].copy()),
    "one number": (lambda x: ops.sqrt(x * x + 1), np.array(3, "float32")),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_is_one_kernel_with_the_bits_of_its_ops(name, monkeypatch) -> None:
    fn, *arrays = CHAINS[name]
    plan = planned(fn, *arrays)
    device = EmulatedDevice()
    monkeypatch.setattr(devices, "device", lambda index: device)
    with fastnn.device("gpu:0"):
        singles = fn(*map(fastnn.convert_to_tensor, arrays)).numpy()
    (found,) = plan.run(list(arrays))
    assert found.tobytes() == singles.tobytes(), "op by op on the same device"
    (of_cpu,) = Plan(traced(fn, arrays)).run(list(arrays))
    np.testing.assert_allclose(
        found.astype("float64"), of_cpu.astype("float64"), rtol=2e-6, atol=1e-6
    )
    assert len(plan.tasks) == 1, plan.summary()
    ((_, *_),) = names(plan)
    assert plan.arena_bytes <= found.nbytes + 4096, "nothing else is stored"


def test_packs_are_taken_where_addresses_and_rows_allow_them() -> None:
    def widths(fn, *arrays):
        return [int(t.body.split(", ")[1]) for t in planned(fn, *arrays).tasks]

    assert widths(lambda x: x + 1, X) == [4]
    assert widths(lambda x: x + 1, X.astype("float64")) == [2]
    assert widths(lambda x: x + 1, BFLOAT16) == [8]
    assert widths(lambda x: x[1:] + 1, X) == [1], "808 bytes are no multiple of 16"
    assert widths(lambda x: x[2:] + 1, X) == [4]
    assert widths(lambda x, b: x + b, X, ROW) == [1], "202 is no multiple of 4"
    assert widths(lambda x, b: x + b, X[:, :200].copy(), ROW[:200].copy()) == [4]
    assert widths(lambda x: ops.transpose(x) + 1, X) == [1]
    assert widths(lambda x: x + 1, X[:3].copy()) == [1], "few elements"


def test_what_two_chains_read_is_stored_and_the_rest_is_not() -> None:
    def fn(x, y):
        a = x * y + 1
        b = ops.sum(a, axis=0)  # needs a in memory
        return ops.tanh(a) * b

    plan = planned(fn, X, Y)
    assert names(plan) == [["multiply", "add", "tanh"], ["sum"], ["multiply"]]
    assert [len(t.outs) for t in plan.tasks if t.header == "pointwise.cuh"] == [2, 1]


def updated(fn, *starts):
    """The values of variables after two steps, on the CPU and on the device."""
    found = []
    for make in (Plan, lambda graph: DevicePlan(graph, EmulatedDevice())):
        variables = [fastnn.Variable(start) for start in starts]
        graph = optimize(trace(lambda *v, vs=variables: fn(*vs), [], "step")[0])
        plan = make(graph)
        outputs = [plan.run([]) for _ in range(2)]
        found.append(([np.asarray(v) for v in variables], outputs))
    return found


def swap(a, b):
    before, other = a.value, b.value
    a.assign(other * 2 + 1)
    b.assign(before - other)


def onto_its_turned_self(a, b):
    a.assign(ops.transpose(a.value) * 2 + a.value)
    b.assign(b.value + a.value)


def shifted(a, b):
    a.assign(ops.concatenate([a.value[1:] * 2, a.value[:1]], 0))
    b.assign(b.value[::-1] + a.value * 3)


def used_before_and_after(a, b):
    c = ops.tanh(a.value * 3)
    a.assign_add(c)
    d = ops.exp(-a.value) + c
    b.assign(b.value * d)
    a.assign_sub(b.value * 0.1)
    return d


def a_row_of_it(a, b):
    first = a.value[0]
    a.assign(a.value - first)  # each row reads the one that the first overwrites
    b.assign(b.value * first + a.value)


@pytest.mark.parametrize(
    "fn", [swap, onto_its_turned_self, shifted, used_before_and_after, a_row_of_it]
)
def test_updates_in_place_read_what_was_there(fn) -> None:
    of_cpu, found = updated(fn, numbers(7, 7), numbers(7, 7, seed=1))
    for a, b in zip(found[0], of_cpu[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    for a, b in zip(found[1], of_cpu[1], strict=True):
        for left, right in zip(a, b, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-6)


def random_graph(seed):
    """A function of pointwise ops, sums and views on values of three shapes."""

    def fn(x, b):
        rng = np.random.default_rng(seed)
        values = [x, b, ops.transpose(x)]
        for _ in range(24):
            a, c = (values[i] for i in rng.integers(0, len(values), 2))
            kind = rng.integers(0, 8)
            if kind == 0:
                made = ops.sum(a, axis=-1, keepdims=True) * 0.1
            elif kind == 1:
                made = ops.flip(a, -1)
            elif kind == 2:
                made = ops.where(a > 0.1, a, -a)
            elif kind < 6 and a.shape == c.shape:
                made = a * c * 0.5 + a
            else:
                made = ops.tanh(a)
            values.append(made)
        return values[-6:]

    return fn


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_give_what_the_plan_of_the_cpu_gives(seed) -> None:
    arrays = [numbers(9, 9), numbers(9)]
    plan = planned(random_graph(seed), *arrays)
    expected = Plan(traced(random_graph(seed), arrays)).run(arrays)
    for _ in range(2):
        for a, e in zip(plan.run(arrays), expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


@pytest.fixture
def plans(monkeypatch):
    """Of the trainings of a test: the device's and the CPU's, graph by graph."""
    made = []

    def plan(graph, *, planned):
        pair = DevicePlan(graph, EmulatedDevice()), Plan(graph)
        made.append(pair)
        return pair[0]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    return made


def described(nodes):
    return sorted(
        (
            node.op.name,
            repr(node.attrs),
            tuple((v.shape, v.dtype) for v in (*node.inputs, *node.outputs)),
        )
        for node in nodes
    )


@pytest.mark.parametrize("name", CASES)
def test_a_device_launches_what_the_cpu_executes_in_an_order_it_may_have(
    name, plans
) -> None:
    train(name, epochs=1)
    assert any(len(plan.groups) < len(cpu._steps) for plan, cpu in plans)
    for on_device, on_cpu in plans:
        nodes = [node for group in on_device.groups for node in group.nodes]
        assert described(nodes) == described(s.node for s in on_cpu._steps)
        place = {v: i for i, node in enumerate(nodes) for v in node.outputs}
        for i, node in enumerate(nodes):
            assert all(place.get(v, -1) < i for v in node.inputs), node


def test_long_chains_are_cut_where_a_launch_has_no_room() -> None:
    def fn(x):
        rows = [x * float(i + 2) for i in range(40)]
        while len(rows) > 1:
            rows = [*rows[2:], rows[0] + rows[1]]
        return rows[0]

    x = numbers(5, 6)
    plan = planned(fn, x)
    (found,) = plan.run([x])
    np.testing.assert_allclose(found, x * sum(range(2, 42)), rtol=1e-5)
    for task in plan.tasks:
        assert task.arguments().size <= 4096
        assert len(task.ins) + len(task.outs) <= chains.MOST_OPERANDS


@pytest.mark.skipif(not nvrtc.AVAILABLE, reason="needs the package nvidia-cuda-nvrtc")
def test_generated_kernels_compile_without_spills() -> None:
    launches = {}
    for fn, *arrays in CHAINS.values():
        for task in planned(fn, *arrays).tasks:
            assert isinstance(task, Launch)
            launches[task.symbol] = task
    text = source.module_text(list(launches.values()))
    used = nvrtc.compiled(text, "sm_90")
    assert set(used) == set(launches)
    assert not {k: u for k, u in used.items() if u.spilled}


def test_a_read_of_a_value_that_is_written_is_not_part_of_the_chain() -> None:
    w = fastnn.Variable(X)

    def step():
        old = w.value
        w.assign(old * 2)
        return raw.add(ops.transpose(w.value), 1.0)

    plan = DevicePlan(optimize(trace(step, [], "f")[0]), EmulatedDevice())
    (found,) = plan.run([])
    np.testing.assert_array_equal(found, (X * 2).T + 1)
