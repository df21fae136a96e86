# SPDX-License-Identifier: Apache-2.0
"""Single kernels beside torch in both of its layouts, and beside the machine's limits.

    python -m benchmarks.kernels [--quick] [--threads 1 2] [--only conv softmax ...]

Results are compared with torch in float64 before they are timed. The speed stands
beside the FMA rate or copy bandwidth probed around the same turn. Writes
benchmarks/results/kernels_<threads>.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.harness import Sample
from benchmarks.kernel_tasks import BYTES, FLOPS, TASKS
from benchmarks.machine import machine_sheet
from benchmarks.peers.kernels_ import LIBRARIES, ORACLE
from benchmarks.processes import Absent, WorkerError
from benchmarks.session import Session
from benchmarks.train import RESULTS, say
from benchmarks.turns import interleave, ratios

# float32 against float64, relative to the largest value of the result.
WORST_ERROR = 2e-5


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.kernels", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    peers = [name for name in LIBRARIES if name != ORACLE]
    kinds = list(dict.fromkeys(task.kind for task in TASKS))
    add("--peers", nargs="+", default=peers, choices=peers)
    add("--ours", default="fastnn", choices=peers)
    add("--only", nargs="+", default=kinds, choices=kinds, help="kinds of kernels")
    add("--threads", nargs="+", type=int, default=[1])
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.1, help="length of one turn")
    add("--quick", action="store_true", help="5 rounds of 0.05 s")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 5), 0.05
    return options


def measure_task(
    session: Session, number: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One kernel by every library that computes it right."""
    task = TASKS[number]
    work, unit = task.work
    expected = session.children[ORACLE].ask("prepare", task=number)["digest"]
    ready, worst = [], {}
    for name in (n for n in options.peers if n in session.children):
        try:
            answer = session.children[name].ask("prepare", task=number)
        except Absent:
            continue
        except WorkerError as error:
            say(f"{name} {task.name}: {error}")
            continue
        worst[name] = _error(answer["digest"], expected)
        if worst[name] < WORST_ERROR:
            ready.append(name)
        else:
            say(f"{name} {task.name}: WRONG by {worst[name]:.1e}, not timed")
    samples = interleave(session, ready, options.rounds, options.seconds, work)
    cells = ratios(samples, ready, options.ours)
    for name, cell in cells.items():
        cell["speed"] = 1e-9 / cell["cost"]["median"]
        cell["of_limit"] = _share([s for s in samples if s.name == name], unit)
    say(f"{task.name}: {_line(cells)}")
    result = {"name": task.name, "kind": task.kind, "must": task.must, "unit": unit}
    return result | {"work": work, "worst": worst, "libraries": cells}


def _error(digest: list[float], expected: list[float]) -> float:
    a, b = np.asarray(digest), np.asarray(expected)
    return float(np.abs(a - b).max() / np.abs(b).max())


def _share(samples: list[Sample], unit: str) -> float | None:
    """Median share of the limit that was probed around each turn."""
    if unit not in (FLOPS, BYTES):
        return None
    used = [s for s in samples if not s.dropped] or samples
    limits = [max(s.fma if unit == FLOPS else s.copy) for s in used]
    pairs = zip(used, limits, strict=True)
    return float(np.median([1e-9 / s.cost / limit for s, limit in pairs]))


def _line(cells: dict[str, Any]) -> str:
    return ", ".join(f"{name} {cell['speed']:.3g}" for name, cell in cells.items())


def measure(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """The whole grid. What is done is stored after each task: it takes long."""
    sheet = machine_sheet(threads)
    session = Session("kernels", [*options.peers, ORACLE], threads, say)
    document: dict[str, Any] = {
        "kind": "kernels",
        "quick": options.quick,
        "rounds": options.rounds,
        "turn_seconds": options.seconds,
        "machine": sheet,
        "ours": options.ours,
        "names": [n for n in options.peers if n not in session.absent],
        "absent": session.absent,
        "versions": session.versions,
        "probe": session.probe_kind,
        "results": [],
    }
    try:
        for i, task in enumerate(TASKS):
            if task.kind in options.only:
                document["results"].append(measure_task(session, i, options))
                report.write_json(options.out / f"kernels_{threads}.json", document)
    finally:
        session.close()
    return document


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    for threads in options.threads:
        print(report.render(measure(options, threads)))


if __name__ == "__main__":
    main()
