# SPDX-License-Identifier: Apache-2.0
"""Independent launches of one kernel become one, and nothing else changes."""

from __future__ import annotations

import cuda_nvrtc as nvrtc
import numpy as np
import pytest
from cuda_emulated import EmulatedDevice, view
from cuda_models import train

from fastnn.backends.cuda import beside, rules, source
from fastnn.backends.cuda.launches import Launch, Product, dense
from fastnn.graph.device_plan import DevicePlan
from fastnn.models import steps as model_steps
from fastnn.opset import get_op


def launch(name, ins, out, attrs=()):
    """The one launch of an op."""
    call = rules.Call(get_op(name), tuple(ins), (out,), attrs, lambda n: 0, lambda: 0)
    (made,) = rules.tasks(call)
    return made


class Memory:
    """Vectors of the device, by number."""

    def __init__(self, device, count=8, size=5):
        self.block = device.allocate(count * size * 4)
        self.size = size
        self.count = count

    def __getitem__(self, i):
        return dense(self.block.address + i * self.size * 4, "float32", (self.size,))

    def fill(self):
        rng = np.random.default_rng(0)
        for i in range(self.count):
            view(self[i])[...] = rng.normal(size=self.size)

    def values(self):
        return [view(self[i]).copy() for i in range(self.count)]


def names(tasks):
    return [len(t.beside) + 1 for t in tasks if isinstance(t, Launch)]


def test_what_does_not_depend_on_each_other_is_one_launch() -> None:
    m = Memory(EmulatedDevice())
    tasks = [launch("exp", [m[i]], m[i + 4]) for i in range(4)]
    assert names(beside.merged(tasks)) == [4]


@pytest.mark.parametrize(
    ("second", "why"),
    [((4, 5), "it reads what the first writes"), ((5, 0), "it writes what it reads")],
)
def test_what_depends_stays_behind(second, why) -> None:
    m = Memory(EmulatedDevice())
    tasks = [launch("exp", [m[0]], m[4]), launch("exp", [m[second[0]]], m[second[1]])]
    assert names(beside.merged(tasks)) == [1, 1], why


def test_a_launch_goes_to_its_partner_only_past_what_it_does_not_touch() -> None:
    m = Memory(EmulatedDevice())
    exps = launch("exp", [m[0]], m[4]), launch("exp", [m[1]], m[5])
    apart = launch("tanh", [m[2]], m[6])
    assert names(beside.merged([exps[0], apart, exps[1]])) == [2, 1]
    before = launch("tanh", [m[2]], m[1])  # the second reads it: the first waits
    assert names(beside.merged([exps[0], before, exps[1]])) == [1, 2]
    between = launch("tanh", [m[4]], m[1])  # reads the first, written for the second
    assert names(beside.merged([exps[0], between, exps[1]])) == [1, 1, 1]
    a, b, c = (dense(m[i].address, "float32", (1, 1)) for i in (4, 2, 1))
    product = Product(a, b, c)
    found = beside.merged([exps[0], product, exps[1]])
    assert found == [exps[0], product, exps[1]]


@pytest.mark.parametrize("seed", range(20))
def test_random_tasks_give_the_bits_they_gave_one_by_one(seed) -> None:
    device = EmulatedDevice()
    m, rng = Memory(device), np.random.default_rng(seed)
    tasks = []
    for _ in range(30):
        a, b, c = (int(i) for i in rng.integers(0, 8, 3))
        kind = ("sin", "tanh", "add", "minimum")[rng.integers(0, 4)]
        ins = [m[a]] if kind in ("sin", "tanh") else [m[a], m[b]]
        tasks.append(launch(kind, ins, m[c]))
    m.fill()
    for task in tasks:
        device.execute([task])
    expected = m.values()
    m.fill()
    device.execute(tasks)
    for a, b in zip(m.values(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(beside.merged(tasks)) < len(tasks)


def test_updates_of_small_variables_are_few_launches_with_the_same_bits(
    monkeypatch,
) -> None:
    device, plans = EmulatedDevice(), []

    def plan(graph, *, planned):
        plans.append(DevicePlan(graph, device))
        return plans[-1]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    found = train("dense", epochs=1)
    updates = [
        len(t.beside) + 1
        for t in beside.merged(plans[0].tasks)
        if isinstance(t, Launch) and t.body.startswith("adam<")
    ]
    assert sum(updates) == 6
    assert len(updates) <= 2, "memory of gradients may be that of others before"
    monkeypatch.setattr(beside, "HEADERS", ())
    expected = train("dense", epochs=1)
    assert found[0] == expected[0]
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_arguments_are_no_longer_than_cuda_takes() -> None:
    m = Memory(EmulatedDevice(), count=400)
    tasks = [launch("exp", [m[i]], m[i + 200]) for i in range(200)]
    found = beside.merged(tasks)
    assert sum(names(found)) == 200
    assert max(t.arguments().size for t in found) <= 32_764
    assert len(found) <= 4


@pytest.mark.skipif(not nvrtc.AVAILABLE, reason="needs the package nvidia-cuda-nvrtc")
def test_launches_of_many_parts_compile_without_copies_of_their_arguments() -> None:
    m = Memory(EmulatedDevice(), count=200)
    tasks = beside.merged([launch("exp", [m[i]], m[i + 100]) for i in range(100)])
    used = nvrtc.compiled(source.module_text(tasks[:1]), "sm_90")
    ((symbol, usage),) = used.items()
    assert symbol == tasks[0].symbol
    assert usage.spilled == 0
    assert usage.registers < 64
