# SPDX-License-Identifier: Apache-2.0
"""How the cost of `fit` grows: with the batch, the width, the depth and the threads.

    python -m benchmarks.growth [--quick] [--axes batch depth] [--peers fastnn torch]

One point is a model that differs from its neighbours in one number. At each point the
losses of the first steps are compared with the float64 oracle, then the frameworks
take turns; beside them stands the limit that the probed FMA rate sets. Compile time is
fastnn's own: the first `fit` of one batch less the second. Writes
benchmarks/results/growth.json; `benchmarks.report` draws docs/growth.svg.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.harness import Limits, Sample
from benchmarks.layers import Dense, Layer
from benchmarks.machine import machine_sheet, one_blas_thread
from benchmarks.peers import PEERS
from benchmarks.peers.numpy_ import NumpyPeer
from benchmarks.session import Session, add_machine_options, check_clock
from benchmarks.train import RESULTS, say, store
from benchmarks.workloads import (
    SGD,
    SPARSE_CE,
    WORKLOADS,
    Workload,
    initial_weights,
    load,
    mlp,
)

CHECKED_STEPS = 3
# float32 sums of a hundred layers or of 4096 rows against float64.
STEPS_RTOL = 1e-4
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
WIDTHS = (16, 64, 256, 1024, 4096)
DEPTHS = (1, 2, 5, 10, 20, 50, 100)


def _row(name: str, layers: tuple[Layer, ...], batch: int) -> Workload:
    """Enough samples for about 4 GFLOP, from 4 to 256 steps."""
    row = Workload(name, "mnist", (784,), layers, SPARSE_CE, batch, SGD, batch)
    steps = int(np.clip(4e9 / (row.flops_per_sample() * batch), 4, 256))
    return Workload(name, "mnist", (784,), layers, SPARSE_CE, batch, SGD, batch * steps)


def _deep(depth: int) -> tuple[Dense, ...]:
    return mlp(*depth * (100,))


def _points(threads: int) -> dict[str, tuple[str, list[tuple[int, int, Workload]]]]:
    """Axis -> what is fixed, and (value, threads, workload) of each point."""
    wide = _row("threads", mlp(1024, 1024), 256)
    return {
        "batch": (
            "784-300-100-10",
            [(b, threads, _row(f"batch{b}", mlp(300, 100), b)) for b in BATCHES],
        ),
        "width": (
            "784-width-width-10, batch 128",
            [(w, threads, _row(f"width{w}", mlp(w, w), 128)) for w in WIDTHS],
        ),
        "depth": (
            "784, depth x 100, 10, batch 32",
            [(d, threads, _row(f"depth{d}", _deep(d), 32)) for d in DEPTHS],
        ),
        "threads": (
            "784-1024-1024-10, batch 256",
            [(n, n, wide) for n in range(1, (os.cpu_count() or 1) + 1)],
        ),
    }


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    axes = list(_points(1))
    peers = ["fastnn", "jax_scan", "torch"]
    add("--axes", nargs="+", default=axes, choices=axes)
    add("--peers", nargs="+", default=peers, choices=list(PEERS))
    add("--ours", default="fastnn")
    add_machine_options(parser)
    add("--rounds", type=int, default=7)
    add("--seconds", type=float, default=0.2, help="length of one turn")
    add("--quick", action="store_true", help="3 rounds of 0.1 s")
    add("--out", type=Path, default=RESULTS / "growth.json")
    options = parser.parse_args(argv)
    planned = _points(options.threads)
    most = max(n for axis in options.axes for _, n, _ in planned[axis][1])
    check_clock(parser, options.clock, most)
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 3), 0.1
    return options


def _prepare(
    session: Session, row: Workload, folder: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """First step and losses of each child that can do the point."""
    x, y, _ = load(row)
    oracle = NumpyPeer(np.float64)
    oracle.setup(row, initial_weights(row), x, y)
    with one_blas_thread():
        expected = np.asarray(oracle.step_losses(CHECKED_STEPS))
    for name in session.names:
        answer = session.attempt(name, "setup", workload=row.name, folder=folder)
        losses = answer and session.attempt(name, "losses", steps=CHECKED_STEPS)
        if not (answer and losses):
            continue
        worst = float(np.max(np.abs(np.asarray(losses["steps"]) / expected - 1)))
        if worst > STEPS_RTOL:
            say(f"{name}: losses differ by {worst:.1e}, not timed")
            continue
        yield name, {"first_step": answer["first_step"]["seconds"], "worst": worst}


def _point(
    session: Session, row: Workload, folder: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Cost of each framework at one point, and the limit."""
    store(row, Path(folder))
    peers = dict(_prepare(session, row, folder))
    epochs: dict[str, int] = {}
    for name in peers:
        ask = session.children[name].ask
        once = min(ask("train", epochs=1)[session.seconds] for _ in range(3))
        epochs[name] = harness.units_for(options.seconds, once, 5000)
        ask("train", epochs=epochs[name])

    def turn(name: str, round_: int) -> Sample:
        work = epochs[name] * row.samples
        return session.turn(name, round_, work, "train", epochs=epochs[name])

    samples = harness.run_rounds(list(peers), options.rounds, turn) if peers else []
    if samples:
        harness.judge(samples, Limits())
    for name, cells in peers.items():
        cells["cost"] = harness.summary(samples, name)
    rates = [rate for s in samples for rate in s.fma]
    fma = float(np.quantile(rates, 0.75)) if rates else float("nan")
    return {
        "workload": row.sheet(),
        "threads": session.threads,
        "fma_gflops": fma,
        "peers": peers,
    }


def set_limits(axes: dict[str, Any]) -> None:
    """Seconds per sample at the best rate that any point of so many threads probed: a
    busy minute lowers the probe, not the limit."""
    points = [point for result in axes.values() for point in result["points"]]
    best: dict[int, float] = {}
    for point in points:
        rate = max(point["fma_gflops"], best.get(point["threads"], 0.0))
        best[point["threads"]] = rate
    for point in points:
        flops = point["workload"]["flops_per_sample"]
        point["limit"] = flops / (1e9 * best[point["threads"]])


def sweep(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Axis -> its points, and versions; one set of processes per thread count."""
    planned = _points(options.threads)
    counts = sorted({n for a in options.axes for _, n, _ in planned[a][1]})
    results: dict[str, Any] = {
        a: {"fixed": planned[a][0], "points": []} for a in options.axes
    }
    versions: dict[str, Any] = {}
    for threads in counts:
        session = Session("peer", options.peers, threads, say, options.clock)
        versions |= session.versions
        try:
            for axis in options.axes:
                for value, wanted, row in planned[axis][1]:
                    if wanted != threads:
                        continue
                    say(f"== {axis} {value}, {threads} threads")
                    with tempfile.TemporaryDirectory() as folder:
                        point = _point(session, row, folder, options)
                    results[axis]["points"].append({"value": value, **point})
        finally:
            session.close()
    set_limits(results)
    return results, versions


def compile_times(repeats: int) -> list[dict[str, Any]]:
    """Milliseconds that the plan of a training step takes to make, per model."""
    from benchmarks.peers.fastnn_ import compile_seconds

    rows = [*WORKLOADS.values(), *(_row(f"{d} x 100", _deep(d), 32) for d in DEPTHS)]
    found = []
    for row in rows:
        x, y, _ = load(row)
        seconds = [compile_seconds(row, x, y) for _ in range(repeats)]
        say(f"compile {row.name}: {1e3 * min(seconds):.1f} ms")
        found.append({"workload": row.sheet(), "seconds": seconds})
    return found


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    sheet = machine_sheet(options.threads)
    results, versions = sweep(options)
    document = {
        "kind": "growth",
        "quick": options.quick,
        "rounds": options.rounds,
        "ours": options.ours,
        "clock": options.clock,
        "machine": sheet,
        "versions": versions,
        "axes": results,
        "compile": compile_times(5) if options.ours in options.peers else [],
    }
    report.write_json(options.out, document)
    print(report.render(document))


if __name__ == "__main__":
    main()
