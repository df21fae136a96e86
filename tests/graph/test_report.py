# SPDX-License-Identifier: Apache-2.0
"""What a plan tells about itself: summary, profile, Chrome trace, counters."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

from fastnn import Sequential, Variable, _core, layers, optimizers
from fastnn.autodiff import raw
from fastnn.graph.passes import optimize
from fastnn.graph.plan import Plan
from fastnn.graph.report import Profile
from fastnn.graph.trace import trace
from fastnn.opset import Spec

ROWS, BATCH = 600, 200


@pytest.fixture
def two_threads():
    before = _core.num_threads()
    _core.set_num_threads(2)
    yield
    _core.set_num_threads(before)


def trained(optimizer: Any = "adam") -> Sequential:
    rng = np.random.default_rng(0)
    model = Sequential(
        [
            layers.Input((200,)),
            layers.Dense(200, activation="relu"),
            layers.Dense(150, activation="tanh"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    x = rng.normal(size=(ROWS, 200)).astype("f")
    model.fit(x, rng.integers(0, 10, ROWS), batch_size=BATCH, verbose=0)
    return model


def state_of(model: Sequential) -> list[bytes]:
    values = [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables)]
    values += [v.numpy() for m in model.metrics for v in m.variables]
    return [v.tobytes() for v in values]


def test_summary_tells_size_memory_threads_passes_and_fusions(two_threads) -> None:
    plan = trained().plan()
    text = plan.summary()
    assert text.endswith(plan.listing().split("\n", 1)[1])
    head = text[: text.index("-- phase 0")]
    assert "threads 2" in head and "2 phases" in head
    assert "1 barriers inside a step and one after it" in head
    assert f"arena {plan._native.arena_bytes}" in head
    assert "nodes: traced " in head and "dce " in head
    assert "linear + relu -> linear" in head
    assert "matmul + relu_grad -> linear_grad_input" in head
    assert "softmax + cross_entropy" in head
    gather = next(line for line in text.splitlines() if "gather_rows" in line)
    assert f"[{BATCH}, 200]" in gather and f"input0[{ROWS}, 200]" in gather


def test_bytes_of_a_gather_are_those_of_the_batch() -> None:
    cursor = Variable(np.zeros(1, np.int64), trainable=False)
    specs = [Spec((1000, 4), "uint8"), Spec((1000,), "int64")]
    graph, _ = trace(lambda x, o: raw.gather_rows(x, o, cursor, 8, "float32"), specs)
    plan = Plan(optimize(graph))
    # 8 x 4 bytes of data, the permutation, the cursor; 8 x 4 floats
    assert "a step reads 8040 and writes 128" in plan.summary()


def test_a_profile_has_every_instruction_thread_and_barrier(two_threads) -> None:
    plan = trained().plan()
    profile = plan.profile(steps=7)
    count = len(plan._steps)
    assert profile.times.shape == (profile.threads, 7, count + 1, 3)
    assert profile.steps == 7 and 1 <= profile.threads <= 2
    own = [i for i, s in enumerate(plan._steps) if profile.times[0, 0, i, 2] > 0]
    times = profile.times[:, :, [*own, count]].reshape(profile.threads, -1)
    assert (np.diff(times, axis=1) >= 0).all(), "not in the order of the list"
    names = [name for name, _ in profile]
    assert names == [step.node.op.name for step in plan._steps]
    work, waits = profile.work().sum(1), profile.waits().sum(1)
    # Work and waiting are the whole step: nothing is left out.
    assert work[0] + waits[0] == pytest.approx(profile.step_ns(), rel=0.02)
    inside = [
        i for i in range(1, count) if plan._steps[i].phase != plan._steps[i - 1].phase
    ]
    others = [i for i in range(count) if i not in inside]
    assert (profile.waits()[:, others] == 0).all(), "waiting without a barrier"


def test_profiling_changes_nothing_and_allocates_nothing(two_threads) -> None:
    model = trained(optimizers.SGD(0.1, momentum=0.9))
    plan, before = model.plan(), state_of(model)
    profile = plan.profile(steps=50)  # the data has 3 batches
    assert profile.allocations == 0
    assert state_of(model) == before
    model.plan().summary(profile=True, steps=2)
    assert state_of(model) == before
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, 200)).astype("f"), rng.integers(0, 10, ROWS)
    history = model.fit(x, y, batch_size=BATCH, verbose=0).history["loss"]
    assert np.isfinite(history[0]) and model.plan() is plan


def test_summary_with_times_and_barriers(two_threads) -> None:
    plan = trained().plan()
    text = plan.summary(profile=True, steps=5)
    assert "5 steps timed" in text and ", 0 allocations" in text
    rows = [line for line in text.splitlines() if " = " in line]
    assert len(rows) == len(plan._steps)
    shared = [i for i, row in enumerate(rows) if row.startswith("(with above)")]
    assert all(" us  " in row for i, row in enumerate(rows) if i not in shared)
    # Three of four small updates, and those at the ends of two chains.
    assert [plan._steps[i].node.op.name for i in shared] == ["adam"] * 5
    if "thread 1:" in text:
        assert "-- phase 1: barrier, threads waited " in text
        assert "-- next step: barrier, threads waited " in text
    assert str(plan.profile(2)).startswith("2 steps timed")


def test_chrome_trace_has_a_lane_per_thread(two_threads, tmp_path) -> None:
    plan = trained().plan()
    path = tmp_path / "trace.json"
    plan.chrome_trace(path, steps=2)
    trace_of = json.loads(path.read_text())
    events = trace_of["traceEvents"]
    lanes = {e["tid"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["tid"] for e in spans} == lanes == set(range(len(lanes)))
    assert all(e["pid"] == 1 and e["ts"] >= 0 and e["dur"] >= 0 for e in spans)
    first = [e for e in spans if e["tid"] == 0 and e["cat"] == "instruction"]
    first = [e for e in first if e["args"]["step"] == 1]
    assert "gather_rows" in first[0]["name"] and first[0]["args"]["phase"] == 0
    assert any(" + " in e["name"] for e in first), "a chain is one span with its ops"
    ends = [e["ts"] + e["dur"] for e in first]
    starts = [e["ts"] for e in first]
    assert all(s >= e - 1e-6 for s, e in zip(starts[1:], ends[:-1], strict=True))


def test_a_profile_of_made_up_times_counts_right() -> None:
    graph, _ = trace(lambda x: raw.exp(raw.exp(x)), [Spec((4,), "float32")])
    plan = Plan(optimize(graph))
    times = np.zeros((1, 2, 3, 3), np.int64)
    times[0, :, 0] = [[0, 0, 10], [100, 100, 130]]
    times[0, :, 1] = [[10, 15, 40], [130, 131, 140]]
    times[0, :, 2] = [[40, 48, 48], [140, 142, 142]]
    profile = Profile(plan, times, 0)
    np.testing.assert_allclose(profile.work(), [[20, 17, 0]])
    np.testing.assert_allclose(profile.waits(), [[0, 3, 5]])
    assert profile.step_ns() == 45
    assert list(profile) == [("exp", 20.0), ("exp", 17.0)]


def test_which_plan(tmp_path) -> None:
    model = trained()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(250, 200)).astype("f"), rng.integers(0, 10, 250)
    with pytest.raises(ValueError, match="has no test plan yet"):
        model.plan("test")
    with pytest.raises(ValueError, match="received 'training'"):
        model.plan("training")
    model.fit(x, y, batch_size=100, verbose=0)  # the last batch has 50 rows
    assert "[100, 200] = gather_rows" in model.plan().listing()
    model.evaluate(x, y, batch_size=64, verbose=0)
    assert "[64, 200] = gather_rows" in model.plan("test").listing()
    model.predict(x[:7], verbose=0)
    assert "input0[7, 200]" in model.plan("predict").listing()
    model.train_on_batch(x[:9], y[:9])
    assert "input0[9, 200]" in model.plan().listing()
    model.layers[0].trainable = False
    with pytest.raises(ValueError, match="has no train plan yet"):
        model.plan()
    eager = trained()
    eager.run_eagerly = True
    with pytest.raises(ValueError, match="runs eagerly and has no train plan"):
        eager.plan()


def counting_plan() -> tuple[Plan, Variable]:
    """A plan whose steps count in a variable; each takes some microseconds."""
    count = Variable(np.zeros((), np.int64), trainable=False)

    def body(x: Any) -> Any:
        count.assign(raw.add(count, 1))
        return raw.sum(raw.exp(x), (0,), False)

    graph, _ = trace(body, [Spec((20_000,), "float32")])
    return Plan(optimize(graph)), count


def test_python_runs_while_a_plan_does() -> None:
    plan, count = counting_plan()
    plan.run([np.zeros(20_000, "f")])
    worker = threading.Thread(target=plan.run, args=([np.zeros(20_000, "f")], 100_000))
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
        time.sleep(0)
    worker.join()
    assert int(count.numpy()) == 100_001
    assert turns > 1000, "Python stood still during the run"


def test_a_running_plan_never_asks_for_the_gil() -> None:
    """The main thread keeps the GIL for itself; the plan goes on all the same."""
    plan, count = counting_plan()
    x = np.zeros(20_000, "f")
    plan.run([x])
    cell = count._buffer()
    before = sys.getswitchinterval()
    worker = threading.Thread(target=plan.run, args=([x], 20_000), daemon=True)
    try:
        worker.start()
        deadline = time.perf_counter() + 20
        while cell < 5 and time.perf_counter() < deadline:
            time.sleep(0)  # until it is under way
        sys.setswitchinterval(1000.0)  # from here on nobody else gets the GIL
        seen = int(cell)
        while int(cell) < seen + 1000 and time.perf_counter() < deadline:
            pass
        assert int(cell) >= seen + 1000
    finally:
        sys.setswitchinterval(before)
        worker.join()


def test_sixty_tiny_layers_are_timed_one_by_one_without_allocations() -> None:
    """deep32: 20 x (Dense 100, BatchNormalization, ELU)."""
    model = Sequential([layers.Input((784,))])
    for _ in range(20):
        model.add(layers.Dense(100))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation("elu"))
    model.add(layers.Dense(10, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).random((96, 784), dtype="f"), np.zeros(96, int)
    model.fit(x, y, batch_size=32, verbose=0)
    before = _core.memory_stats()
    profile = model.plan().profile(steps=6)
    assert profile.allocations == 0 and _core.memory_stats() == before
    assert len(list(profile)) == len(model.plan()._steps) > 100
    assert sum(t > 0 for _, t in profile) > 100
    barriers = [
        line for line in str(profile).splitlines() if line.startswith("-- phase")
    ]
    assert len(barriers) == model.plan().phases
