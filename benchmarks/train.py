# SPDX-License-Identifier: Apache-2.0
"""Training speed: microseconds per sample of `fit` over whole epochs, beside peers.

    python -m benchmarks.train [--quick] [--workloads mlp32 ...] [--peers torch ...]

For each workload: every framework in its own process; time to the first trained step
(compiling included); losses of the first steps and of one epoch compared with a float64
NumPy oracle; warm-up; then interleaved rounds. Writes benchmarks/results/train.json.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.harness import Limits, Sample
from benchmarks.machine import machine_sheet, one_blas_thread
from benchmarks.peers import PEERS
from benchmarks.peers.numpy_ import NumpyPeer
from benchmarks.session import Session, add_machine_options, check_clock
from benchmarks.workloads import WORKLOADS, Workload, initial_weights, load

RESULTS = Path(__file__).with_name("results")
CHECKED_STEPS = 10


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    everyday = [n for n, p in PEERS.items() if p.trains and not p.slow]
    add = parser.add_argument
    add("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    add("--peers", nargs="+", default=everyday, choices=list(PEERS))
    add("--ours", default="fastnn", help="the peer every ratio is against")
    add_machine_options(parser)
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.4, help="length of one turn")
    add(
        "--warm-up", type=int, default=6, help="at most so many turns before the rounds"
    )
    add("--no-tune", dest="tune", action="store_false", help="peers as they come")
    add(
        "--quick",
        action="store_true",
        help="5 rounds of 0.2 s, a quarter of the samples, peers as they come: a look",
    )
    add("--out", type=Path, default=RESULTS / "train.json")
    options = parser.parse_args(argv)
    check_clock(parser, options.clock, options.threads)
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 5), 0.2
        options.warm_up, options.tune = 2, False
    return options


def store(workload: Workload, folder: Path) -> str:
    """The row, its arrays and weights where the children read them; their source."""
    x, y, source = load(workload)
    weights = initial_weights(workload)
    named = {f"w{i}": w for i, w in enumerate(weights)}
    np.savez(folder / f"{workload.name}.npz", x=x, y=y, **named)
    (folder / f"{workload.name}.pickle").write_bytes(pickle.dumps(workload))
    return source


def expect(workload: Workload) -> dict[str, Any]:
    """The oracle's losses, without Dropout."""
    x, y, _ = load(workload)
    oracle = NumpyPeer(np.float64)
    oracle.setup(workload.without_dropout(), initial_weights(workload), x, y)
    with one_blas_thread():
        steps = oracle.step_losses(CHECKED_STEPS)
        oracle.reset()
        return {"steps": steps, "epoch": oracle.run_epochs(1, False)[0]}


def prepare(
    session: Session,
    workload: Workload,
    folder: Path,
    expected: dict,
    options: argparse.Namespace,
) -> dict:
    """First step, losses and own knobs of each child, one child at a time."""
    rows: dict[str, dict[str, Any]] = {}
    for name in session.names:
        answer = session.attempt(
            name, "setup", workload=workload.name, folder=str(folder)
        )
        losses = answer and session.attempt(name, "check", steps=CHECKED_STEPS)
        tuned = losses and (
            session.attempt(name, "tune") if options.tune else {"chosen": ""}
        )
        if not (answer and losses and tuned):
            continue
        agreement = harness.compare_losses(
            losses, expected, workload.steps_rtol, workload.epoch_rtol
        )
        first = answer["first_step"][session.seconds]
        say(
            f"{name}: first step {first:.3f} s, losses "
            f"{'equal' if agreement['ok'] else 'DIFFER'} "
            f"(10 steps {agreement['steps']:.1e}, epoch {agreement['epoch']:.1e})"
        )
        rows[name] = {
            "first_step": first,
            "memory": answer["memory"],
            "losses": losses,
            "agreement": agreement,
            "chosen": tuned["chosen"],
        }
    return rows


def warm_up(session: Session, rows: dict, seconds: float, most: int) -> None:
    """Epochs per turn of each child, and turns until they settle."""
    for name in session.names:
        per_epoch = session.children[name].ask("train", epochs=1)[session.seconds]
        per_epoch = session.children[name].ask("train", epochs=1)[session.seconds]
        epochs = harness.units_for(seconds, per_epoch, 5000)

        def once(name: str = name, epochs: int = epochs) -> float:
            return session.children[name].ask("train", epochs=epochs)[session.seconds]

        costs = harness.until_stable(once, most=most)
        rows[name] |= {"epochs": epochs, "warm_up_turns": len(costs)}


def measure(options: argparse.Namespace, workload: Workload) -> dict[str, Any]:
    """One workload from start to ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"== {workload.name}: oracle")
        source, expected = store(workload, folder), expect(workload)
        session = Session("peer", options.peers, options.threads, say, options.clock)
        try:
            rows = prepare(session, workload, folder, expected, options)
            warm_up(session, rows, options.seconds, options.warm_up)

            def turn(name: str, round_: int) -> Sample:
                epochs = rows[name]["epochs"]
                work = epochs * workload.samples
                return session.turn(name, round_, work, "train", epochs=epochs)

            samples = (
                harness.run_rounds(session.names, options.rounds, turn, say)
                if rows
                else []
            )
        finally:
            session.close()
    result = {
        "workload": workload.sheet(),
        "source": source,
        "expected": expected,
        "absent": session.absent,
        "versions": session.versions,
        "probe": session.probe_kind,
        "peers": rows,
    }
    return result | conclude(samples, rows, options.ours)


def conclude(samples: list[Sample], rows: dict, ours: str) -> dict[str, Any]:
    """Judged samples, cost of each framework and its ratio to ours."""
    limits = Limits()
    if samples:
        harness.judge(samples, limits)
    for name, row in rows.items():
        row["cost"] = harness.summary(samples, name)
        if ours in rows:
            ratio = harness.paired_ratio(samples, ours, name, limits)
            row["ratio"] = asdict(ratio)
    return {"ours": ours, "limits": asdict(limits), "samples": harness.to_json(samples)}


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    sheet = machine_sheet(options.threads)
    document: dict[str, Any] = {
        "kind": "train",
        "quick": options.quick,
        "rounds": options.rounds,
        "turn_seconds": options.seconds,
        "clock": options.clock,
        "machine": sheet,
        "results": [],
    }
    for name in options.workloads:
        row = WORKLOADS[name]
        row = row.shortened() if options.quick else row
        document["results"].append(measure(options, row))
        report.write_json(options.out, document)  # an hour's work is not lost
    print(report.render(document))


if __name__ == "__main__":
    main()
