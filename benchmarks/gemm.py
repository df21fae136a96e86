# SPDX-License-Identifier: Apache-2.0
"""Matrix products: GFLOP/s and the share of the FMA peak probed in the same turn.

    python -m benchmarks.gemm [--quick] [--threads 1,2] [--peers numpy torch ...]

The shapes are those of the training workloads in their three forms (forward, input
gradient, weight gradient) and squares. Results are checked against float64 before they
are timed. Writes benchmarks/results/gemm_<threads>.json.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.harness import Limits, Sample
from benchmarks.machine import machine_sheet
from benchmarks.peers.gemm_ import LIBRARIES
from benchmarks.session import Session
from benchmarks.train import RESULTS, say

FORWARD, WEIGHTS, INPUT = "y=xw", "dw=x'dy", "dx=dyw'"

# form, m, k, n of C(m, n) = A(m, k) B(k, n): mlp32's and mlp128's layers, the first
# layer of reg32 (bound by the call), wide512's kind, products with one row or column, a
# weight matrix that lives in L3, and squares.
SHAPES = (
    (FORWARD, 32, 8, 30),
    (FORWARD, 32, 784, 300),
    (WEIGHTS, 784, 32, 300),
    (INPUT, 32, 300, 784),
    (FORWARD, 128, 784, 784),
    (WEIGHTS, 784, 128, 784),
    (INPUT, 128, 784, 784),
    (FORWARD, 512, 784, 784),
    (WEIGHTS, 784, 512, 784),
    (FORWARD, 1, 784, 300),
    (FORWARD, 512, 784, 1),
    (FORWARD, 8, 784, 784),
    (FORWARD, 32, 2048, 2048),
    (FORWARD, 512, 512, 512),
    (FORWARD, 1024, 1024, 1024),
    (FORWARD, 2048, 2048, 2048),
)
QUICK = (*SHAPES[1:5], (FORWARD, 512, 512, 512))

# A float32 dot product of k terms is off by about sqrt(k) roundings of the result.
WORST_ERROR = 1e-5


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gemm", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    libraries = list(LIBRARIES)
    add("--peers", nargs="+", default=libraries, choices=libraries)
    add("--ours", default="fastnn", choices=libraries)
    add("--threads", nargs="+", default=["1,2"], help="1 2, or 1,2")
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.2, help="length of one turn")
    add("--quick", action="store_true", help="5 rounds of 0.1 s of a few shapes")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    options.threads = [int(n) for text in options.threads for n in text.split(",")]
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 5), 0.1
    return options


def measure_shape(
    session: Session, shape: tuple[str, int, int, int], options: argparse.Namespace
) -> dict[str, Any]:
    """One product by every library, in interleaved rounds."""
    form, m, k, n = shape
    flops = 2.0 * m * k * n
    calls: dict[str, int] = {}
    for name in session.names:
        answer = session.attempt(name, "prepare", form=form, m=m, k=k, n=n)
        if answer is None:
            continue
        if not answer["worst"] < WORST_ERROR:
            say(f"{name} {shape}: WRONG by {answer['worst']:.1e}, not timed")
            continue
        ask = session.children[name].ask
        ask("run", calls=2)
        seconds = ask("run", calls=3)["seconds"] / 3
        calls[name] = harness.units_for(options.seconds, seconds, 10**6)

        def once(ask: Any = ask, count: int = calls[name]) -> float:
            return ask("run", calls=count)["seconds"]

        harness.until_stable(once, most=5)

    def turn(name: str, round_: int) -> Sample:
        work = calls[name] * flops
        return session.turn(name, round_, work, "run", calls=calls[name])

    samples = harness.run_rounds(list(calls), options.rounds, turn) if calls else []
    say(f"{form} {m}x{k}x{n}")
    result = {"form": form, "m": m, "k": k, "n": n}
    result["libraries"] = conclude(samples, list(calls), options.ours)
    return result | {"samples": harness.to_json(samples)}


def conclude(samples: list[Sample], names: list[str], ours: str) -> dict[str, Any]:
    """GFLOP/s, share of the peak and ratio to ours, per library."""
    limits = Limits()
    if samples:
        harness.judge(samples, limits)
    cells: dict[str, Any] = {}
    for name in names:
        cost = harness.summary(samples, name)
        own = [s for s in samples if s.name == name]
        shares = [1e-9 / s.cost / max(s.fma) for s in own if not s.dropped]
        shares = shares or [1e-9 / s.cost / max(s.fma) for s in own]
        cells[name] = {
            "cost": cost,
            "gflops": 1e-9 / cost["median"],
            "of_peak": float(np.median(shares)),
        }
        if ours in names and name != ours:
            ratio = harness.paired_ratio(samples, ours, name, limits)
            cells[name]["ratio"] = asdict(ratio)
    return cells


def measure(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    sheet = machine_sheet(threads)
    session = Session("gemm", options.peers, threads, say)
    try:
        shapes = QUICK if options.quick else SHAPES
        results = [measure_shape(session, shape, options) for shape in shapes]
    finally:
        session.close()
    return {
        "kind": "gemm",
        "quick": options.quick,
        "rounds": options.rounds,
        "turn_seconds": options.seconds,
        "machine": sheet,
        "ours": options.ours,
        "names": [n for n in options.peers if n not in session.absent],
        "absent": session.absent,
        "versions": session.versions,
        "probe": session.probe_kind,
        "results": results,
    }


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    for threads in options.threads:
        document = measure(options, threads)
        report.write_json(options.out / f"gemm_{threads}.json", document)
        print(report.render(document))


if __name__ == "__main__":
    main()
