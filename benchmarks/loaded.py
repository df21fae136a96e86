# SPDX-License-Identifier: Apache-2.0
"""What is left of the speed when other processes use the processors.

    python -m benchmarks.loaded [--spinners 0 2 4] [--rounds 15] [--quick]

Starts processes that only spin and compares, in rounds of one turn each: one thread;
all threads whatever happens (`fixed`); and the default, in which work that waits too
much goes on alone (`adaptive`). The tasks: `model.fit` of each workload, a plan of
matrix products with a barrier between them, and the same products eagerly. The figures
to look at: adaptive over the better of the two others, and how much slower than alone
it is, over what its share of the processors explains: with both cores kept busy that
must be at most 3, and its table of goals says for which workloads it is. `--quick`
takes three to four minutes: no more spinning processes than processors, 3 rounds.
Writes benchmarks/results/loaded.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from benchmarks import report
from benchmarks.harness import bootstrap_median
from benchmarks.machine import machine_sheet
from benchmarks.peers.fastnn_ import FastnnPeer
from benchmarks.train import RESULTS, say
from benchmarks.workloads import WORKLOADS, Workload, initial_weights, load
from fastnn import _core, config, ops

MODES = ("one", "fixed", "adaptive")
SPIN = "while True: pass"

# A task: what runs so many units of it, and the threads that it is worth.
Made = tuple[Callable[[int], None], int]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.loaded", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    cpus = config.get_num_threads()
    add("--spinners", nargs="+", type=int, default=None)
    add("--threads", type=int, default=max(2, cpus))
    add("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.3, help="length of one turn on one thread")
    add("--quick", action="store_true", help="3 rounds, as many spinners as processors")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds = min(options.rounds, 3)
    if options.spinners is None:
        options.spinners = [0, cpus] if options.quick else [0, cpus, 2 * cpus]
    return options


@contextmanager
def spinning(count: int) -> Any:
    """`count` processes that use all the time they get."""
    children = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def fit(name: str) -> Made:
    """`fit` of a workload's first samples, once per unit."""
    row = WORKLOADS[name]
    row = replace(row, samples=_steps(row) * row.batch)
    x, y, _ = load(row)
    peer = FastnnPeer()
    peer.setup(row, initial_weights(row), x, y)
    peer.run_epochs(1, True)

    def run(units: int) -> None:
        for _ in range(units):
            peer.run_epochs(1, True)

    return run, peer.model.plan().threads()


def _steps(row: Workload) -> int:
    """A tenth of a second or so, so that a call of `fit` is mostly steps."""
    return int(np.clip(2e10 / (row.flops_per_sample() * row.batch), 4, row.steps))


def _products() -> tuple[Callable, list[Any]]:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(256, 256)).astype(np.float32) / 16 for _ in range(4)]
    tensors = [fastnn.convert_to_tensor(a) for a in arrays]

    def products(x: Any, a: Any, b: Any, c: Any) -> Any:
        # The right operand depends on all rows: a barrier before each product.
        for w in (a, b, c):
            x = ops.matmul(w, ops.tanh(x))
        return x

    return products, tensors


def plan_of_products() -> Made:
    products, tensors = _products()
    compiled = fastnn.function(products)

    def run(calls: int) -> None:
        for _ in range(calls):
            compiled(*tensors)

    return run, config.get_num_threads()


def eager_products() -> Made:
    products, tensors = _products()

    def run(calls: int) -> None:
        for _ in range(calls):
            products(*tensors)

    return run, config.get_num_threads()


# Name -> unit, and what makes the task.
TASKS: dict[str, tuple[str, Callable[[], Made]]] = {
    f"fit {name}": (f"{_steps(row) * row.batch} samples", partial(fit, name))
    for name, row in WORKLOADS.items()
} | {
    "plan of three 256^3 products": ("call", plan_of_products),
    "three 256^3 products, eager": ("call", eager_products),
}


def explained(threads: int, spinners: int) -> float:
    """How many times slower a fair scheduler makes `threads` beside `spinners`."""
    cpus = len(os.sched_getaffinity(0))
    share = min(1.0, cpus / (threads + spinners))
    return min(threads, cpus) / (threads * share)


def seconds_of(
    run: Callable[[int], None], units: int, mode: str, threads: int
) -> float:
    config.set_num_threads(1 if mode == "one" else threads)
    _core.set_pacing(mode == "adaptive")
    began = time.perf_counter()
    run(units)
    return time.perf_counter() - began


def measure_task(name: str, spinners: int, options: argparse.Namespace) -> Any:
    """Seconds per unit of each mode in each round, and the ratio to the better one."""
    unit, make = TASKS[name]
    config.set_num_threads(options.threads)  # plans are built for as many
    run, plan_threads = make()
    run(1)
    with spinning(spinners):
        probe = min(seconds_of(run, 1, "one", options.threads) for _ in range(3))
        units = max(1, round(options.seconds / probe))
        costs: dict[str, list[float]] = {mode: [] for mode in MODES}
        for round_ in range(options.rounds):
            for mode in (*MODES[round_ % 3 :], *MODES[: round_ % 3]):
                seconds = seconds_of(run, units, mode, options.threads)
                costs[mode].append(seconds / units)
    medians = {mode: float(np.median(costs[mode])) for mode in MODES}
    better = min(("one", "fixed"), key=lambda mode: medians[mode])
    ratios = np.divide(costs["adaptive"], costs[better])
    low, high = bootstrap_median(list(ratios))
    say(f"{name}, {spinners} spinners: {medians}, {np.median(ratios):.2f} of {better}")
    return {
        "task": name,
        "unit": unit,
        "spinners": spinners,
        "explained": explained(plan_threads, spinners),
        "median": medians,
        "better": better,
        "ratio": float(np.median(ratios)),
        "interval": [low, high],
        "costs": costs,
    }


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    sheet, load_before = machine_sheet(options.threads), os.getloadavg()[0]
    results = [
        measure_task(name, spinners, options)
        for spinners in options.spinners
        for name in options.tasks
    ]
    document = {
        "kind": "loaded",
        "quick": options.quick,
        "rounds": options.rounds,
        "machine": sheet,
        "load_before": load_before,
        "versions": {"fastnn": {"fastnn": fastnn.__version__}},
        "results": results,
    }
    report.write_json(options.out / "loaded.json", document)
    print(report.render(document))


if __name__ == "__main__":
    main()
