# SPDX-License-Identifier: Apache-2.0
"""Tables made from invented result files, and the generated blocks of documents."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import compare, report, train, train_tables
from benchmarks.formatting import number
from benchmarks.goals import verdicts
from benchmarks.growth import set_limits
from benchmarks.harness import Sample
from benchmarks.plots import draw_growth
from benchmarks.workloads import WORKLOADS

MACHINE = {
    "date": "2026-01-01 00:00 UTC",
    "revision": "abc",
    "cpu": "Test CPU",
    "cores": 2,
    "threads": 2,
    "flags": "avx2",
    "virtual machine": "none seen",
    "openblas": "0.3 Haswell",
    "python": "3.11",
    "load before": 0.1,
}


def samples(costs: dict[str, float]) -> list[Sample]:
    turns = [(r, n, c) for r in range(6) for n, c in costs.items()]
    return [Sample(n, r, c, 1.0, (100.0, 100.0), (9.0, 9.0)) for r, n, c in turns]


def document(costs: dict[str, float], differ: tuple[str, ...] = ()) -> dict:
    rows = {
        name: {
            "first_step": 0.5,
            "memory": 25_000_000 if name == "fastnn" else 100_000_000,
            "agreement": {"ok": name not in differ, "steps": 1e-7, "epoch": 0.25},
            "chosen": "unroll=4" if name == "jax_scan" else "",
        }
        for name in costs
    }
    result = {
        "workload": WORKLOADS["mlp32"].sheet(),
        "source": "mnist",
        "absent": {"sklearn": "[sklearn] not here"},
        "versions": {"torch": {"torch": "2.13"}},
        "peers": rows,
    } | train.conclude(samples(costs), rows, "fastnn")
    head = {"kind": "train", "quick": False, "rounds": 6, "machine": MACHINE}
    return head | {"results": [result]}


def test_rows_where_a_peer_wins_are_shown_as_they_are():
    text = report.render(document({"fastnn": 8e-6, "jax_scan": 4e-6, "torch": 16e-6}))
    lines = [line for line in text.splitlines() if line.startswith("|")][2:5]
    assert [line.split("|")[1].strip() for line in lines] == [
        "JAX, epoch in one `scan` (unroll=4)",
        "**fastnn `fit`**",
        "torch eager",
    ]
    assert (
        "| 4.00 | 4.00 | 0.500 [0.500, 0.500] | equal | 500 | 100 | 6/6 |" in lines[0]
    )
    assert "| 8.00 | 8.00 | 1 |" in lines[1]
    assert "2.00 [2.00, 2.00]" in lines[2]
    assert "scikit-learn MLP: [sklearn] not here" in text
    assert "Test CPU" in text
    assert "torch 2.13" in text


def test_no_ratio_for_a_peer_whose_losses_differ():
    text = report.render(document({"fastnn": 8e-6, "torch": 16e-6}, differ=("torch",)))
    line = next(line for line in text.splitlines() if "torch eager" in line)
    assert "**differ** 2e-01" in line
    assert "2.00 [" not in line


def test_no_ratio_against_a_standard_whose_own_losses_differ():
    text = report.render(document({"fastnn": 8e-6, "torch": 16e-6}, differ=("fastnn",)))
    assert "2.00 [" not in text


def test_goals_are_judged_and_shown_where_they_are_missed():
    costs = {"fastnn": 8e-6, "jax_scan": 8.8e-6, "torch": 16e-6, "tf_keras": 160e-6}
    one = document(costs)
    reached = {v.measure: (v.got, v.reached) for v in verdicts(one["results"][0])}
    assert reached == {
        "times JAX scan (best)": (pytest.approx(1.1), "85 % of must"),
        "times tf.keras": (pytest.approx(20), "aim"),
        "first step, ms": (500, "4 % of must"),
        "memory of torch's": (0.25, "aim"),
    }
    text = report.render(one)
    line = "| mlp32 | times JAX scan (best) | **1.10** | at least 1.30 | 2.00 | 85 % of"
    assert line in text


def test_the_best_peer_of_the_goals_did_the_same_work():
    one = document({"fastnn": 8e-6, "jax_scan": 4e-6, "torch": 9e-6}, ("jax_scan",))
    measures = [v.measure for v in verdicts(one["results"][0])]
    assert measures[0] == "times torch (best)"
    wrong = document({"fastnn": 8e-6, "torch": 9e-6}, ("fastnn",))
    assert list(verdicts(wrong["results"][0])) == []


def latency() -> dict:
    rows = {}
    for name, ratio in (("fastnn", None), ("onnxruntime", 0.9), ("torch", 2.0)):
        cost = {"median": 2e-5 * (ratio or 1), "min": 1e-5, "kept": 5, "turns": 5}
        rows[name] = {"cost": cost, "equal": True}
        if ratio:
            near = {"median": ratio, "low": ratio, "high": ratio, "noisy": False}
            rows[name]["ratio"] = near
    return {
        "kind": "latency",
        "quick": False,
        "rounds": 5,
        "machine": MACHINE,
        "predict": [{"rows": 1, "ours": "fastnn", "peers": rows}],
        "imports": {"fastnn": 0.012, "torch": 1.3},
        "installed": {"fastnn": 60_000_000},
        "versions": {},
    }


def test_answers_start_up_and_size_have_their_goals():
    lines = report.render(latency()).splitlines()
    assert (
        "| ONNX Runtime | 18.0 | 10.0 | 0.900 [0.900, 0.900] | equal | 5/5 |" in lines
    )
    assert "| fastnn | 12.0 | 60.0 |" in lines
    assert "| torch | 1,300 | - |" in lines
    assert lines[-5:-1] == [
        "| predict 1 | times ONNX Runtime | **0.900** | at least 1.00 | 1.30 "
        "| 90 % of must |",
        "| import | ms over NumPy's | 12.0 | at most 25.0 | 10.0 | must |",
        "| installed | MB with dependencies | 60.0 | at most 100 | 100 | aim |",
        "",
    ]


def test_a_loaded_machine_has_a_goal_for_as_many_spinners_as_processors():
    medians = {0: 1.0, 2: 2.4, 4: 40.0}
    results = [
        {
            "task": "fit mlp32",
            "unit": "32 samples",
            "spinners": spinners,
            "explained": 2.0,
            "median": {"one": 1.0, "fixed": 2.0, "adaptive": seconds},
            "better": "one",
            "ratio": 1.0,
            "interval": [0.9, 1.1],
        }
        for spinners, seconds in medians.items()
    ]
    found = {"kind": "loaded", "quick": True, "rounds": 3, "machine": MACHINE}
    found |= {"results": results, "load_before": 0.0, "versions": {}}
    text = report.render(found)
    assert "| fit mlp32 | slower, over its share | 1.20 | at most 3.00 |" in text
    assert "20.0" in text  # beside twice as many: shown, but no goal
    results[1]["median"]["adaptive"] = 8.0
    assert "| **4.00** | at most 3.00 | 1.50 | 75 % of must |" in report.render(found)


def growth() -> dict:
    def point(value: int, us: float) -> dict:
        cost = {"median": us * 1e-6}
        peers = {"fastnn": {"cost": cost}}
        if value > 1:
            peers["torch"] = {"cost": {"median": 3 * us * 1e-6}}
        return {"value": value, "limit": us * 0.5e-6, "peers": peers}

    axes = {
        axis: {"fixed": f"{axis} fixed", "points": [point(1, 8.0), point(2, 4.0)]}
        for axis in ("batch", "threads")
    }
    head = {"kind": "growth", "quick": False, "rounds": 3, "machine": MACHINE}
    compiled = [{"workload": {"name": "mlp32"}, "seconds": [0.004, 0.003]}]
    return head | {"axes": axes, "compile": compiled, "versions": {}}


def test_growth_has_a_table_per_axis_and_its_limit():
    lines = report.render(growth()).splitlines()
    head = lines.index(
        "| threads (threads fixed) | limit, us/sample | fastnn `fit` | torch eager |"
    )
    assert lines[head + 2 : head + 4] == [
        "| 1 | 4.00 | 8.00 | - |",
        "| 2 | 2.00 | 4.00 | 12.0 |",
    ]
    assert "| mlp32 | 3.00 |" in lines


def test_limits_are_those_of_the_best_rate_of_as_many_threads():
    def point(threads: int, rate: float) -> dict:
        work = {"flops_per_sample": 1e6}
        return {"threads": threads, "fma_gflops": rate, "workload": work}

    slow, fast, both = point(1, 50.0), point(1, 100.0), point(2, 200.0)
    set_limits({"batch": {"points": [slow, both]}, "width": {"points": [fast]}})
    assert [p["limit"] for p in (slow, fast, both)] == [1e-5, 1e-5, 5e-6]


def test_growth_is_drawn_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        draw_growth(growth(), file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "limit (FMA rate)" in files[0].read_text()


def test_front_page_has_a_column_per_workload_and_marks_what_is_not_equal():
    one = document({"fastnn": 8e-6, "jax_scan": 4e-6, "torch": 16e-6})
    other = document({"fastnn": 3e-6, "torch": 9e-6}, differ=("torch",))
    one["results"] += other["results"]
    lines = train_tables.brief([one]).splitlines()
    assert lines[2:5] == [
        "| JAX, epoch in one `scan` | 4.00 (0.500) | - |",
        "| fastnn `fit` | 8.00 | 3.00 |",
        "| torch eager | 16.0 (2.00) | 9.00, **losses differ** |",
    ]
    assert train_tables.brief([]) == ""


def test_block_is_replaced_and_the_rest_kept(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"above\n{report.START}\nold\n{report.END}\nbelow\n")
    assert report.put(path, "new\n")
    assert report.put(path, "newer\n")
    text = path.read_text()
    assert text == f"above\n{report.START}\nnewer\n{report.END}\nbelow\n"
    path.write_text("no block\n")
    assert not report.put(path, "new")
    assert path.read_text() == "no block\n"
    assert not report.put(tmp_path / "absent.md", "new")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.19, "0.190"), (8.123, "8.12"), (30.52, "30.5"), (72_600.4, "72,600")],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_compare_uses_ratios_and_not_times():
    # The second machine is three times slower, yet fastnn gained 2x on torch.
    before = document({"fastnn": 8e-6, "torch": 16e-6})
    after = document({"fastnn": 12e-6, "torch": 48e-6})
    line = compare.render(before, after, "fastnn").splitlines()[-1]
    assert line == ("| mlp32 | 8.00 | 12.0 | torch | 2.00 | 4.00 | +100.0 % | faster |")
    same = compare.render(before, before, "fastnn").splitlines()[-1]
    assert same.endswith("| +0.0 % | same |")


def test_compare_refuses_what_cannot_be_compared():
    before = document({"fastnn": 8e-6, "torch": 16e-6})
    other = before | {"machine": MACHINE | {"cpu": "Other CPU"}}
    with pytest.raises(ValueError, match="different machines"):
        compare.render(before, other, "fastnn")
    with pytest.raises(ValueError, match="'train' and 'gemm'"):
        compare.render(before, before | {"kind": "gemm"}, "fastnn")
