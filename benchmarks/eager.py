# SPDX-License-Identifier: Apache-2.0
"""Code written with tensors beside torch eager: calls, tapes, loops written by hand.

    python -m benchmarks.eager [--quick] [--threads 1]

Results are compared with torch's before times. The loops also run with their step, and
as a whole, under `@function`, beside `fit` on the same model. Writes
benchmarks/results/eager.json.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.harness import Limits
from benchmarks.machine import machine_sheet
from benchmarks.peers.eager_ import LIBRARIES, TASKS, Task
from benchmarks.processes import Absent, WorkerError
from benchmarks.session import Session, add_machine_options, check_clock
from benchmarks.train import RESULTS, say
from benchmarks.turns import interleave, ratios

# float32 sums in another order; an epoch of training multiplies the difference.
WORST_ERROR = {"op": 1e-5, "taped": 1e-5, "mlp": 1e-4, "loop": 2e-3}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.eager", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--only", nargs="+", default=[], help="parts of the names of tasks")
    add_machine_options(parser)
    parser.set_defaults(threads=1)
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.2, help="length of one turn")
    add("--quick", action="store_true", help="5 rounds of 0.1 s")
    add("--out", type=Path, default=RESULTS / "eager.json")
    options = parser.parse_args(argv)
    check_clock(parser, options.clock, options.threads)
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 5), 0.1
    return options


def measure_task(
    session: Session, task: Task, options: argparse.Namespace
) -> dict[str, Any]:
    """One task by everyone who computes the same."""
    digests: dict[str, np.ndarray] = {}
    for name in session.names:
        try:
            answer = session.children[name].ask("prepare", task=task.name)
        except Absent:
            continue
        except WorkerError as error:
            say(f"{name} {task.name}: {error}")
            continue
        digests[name] = np.asarray(answer["digest"])
    expected = digests.get("torch", digests["fastnn"])
    worst = {n: _error(d, expected) for n, d in digests.items()}
    ready = [n for n, error in worst.items() if error < WORST_ERROR[task.kind]]
    for name in sorted(set(digests) - set(ready)):
        say(f"{name} {task.name}: WRONG by {worst[name]:.1e}, not timed")
    samples = interleave(session, ready, options.rounds, options.seconds, task.work)
    cells = ratios(samples, ready, "fastnn")
    if {"fastnn_function", "fastnn_fit"} <= set(ready):
        over_fit = harness.paired_ratio(
            samples, "fastnn_fit", "fastnn_function", Limits()
        )
        cells["fastnn_function"]["over_fit"] = asdict(over_fit)
    us = ", ".join(f"{n} {1e6 * c['cost']['median']:.3g}" for n, c in cells.items())
    say(f"{task.name}: {us} us")
    return {**task._asdict(), "worst": worst, "libraries": cells}


def _error(digest: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(digest - expected).max() / max(np.abs(expected).max(), 1e-30))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    sheet = machine_sheet(options.threads)
    session = Session("eager", list(LIBRARIES), options.threads, say, options.clock)
    chosen = [t for t in TASKS if not options.only or _named(t, options.only)]
    try:
        results = [measure_task(session, task, options) for task in chosen]
    finally:
        session.close()
    return {
        "kind": "eager",
        "quick": options.quick,
        "rounds": options.rounds,
        "clock": options.clock,
        "machine": sheet,
        "absent": session.absent,
        "versions": session.versions,
        "probe": session.probe_kind,
        "results": results,
    }


def _named(task: Task, parts: list[str]) -> bool:
    return any(part in task.name for part in parts)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    document = measure(options)
    report.write_json(options.out, document)
    print(report.render(document))


if __name__ == "__main__":
    main()
