# SPDX-License-Identifier: Apache-2.0
"""What is left of the speed when other processes use the processors.

    python -m benchmarks.loaded [--spinners 0 2 4] [--rounds 15] [--quick]

Starts processes that only spin and compares, in rounds of one turn each: one thread;
all threads whatever happens (`fixed`); and the default, in which work that waits too
much goes on alone (`adaptive`). The tasks: `model.fit` of mlp32, a plan of matrix
products with a barrier between them, and the same products eagerly. The figure to
look at is adaptive over the better of the two others. Writes
benchmarks/results/loaded.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from benchmarks import report
from benchmarks.harness import bootstrap_median
from benchmarks.machine import machine_sheet
from benchmarks.train import RESULTS, say
from benchmarks.workloads import WORKLOADS, load
from fastnn import Input, Sequential, _core, config, layers, ops, optimizers

MODES = ("one", "fixed", "adaptive")
SPIN = "while True: pass"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.loaded", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    cpus = config.get_num_threads()
    add("--spinners", nargs="+", type=int, default=[0, cpus, 2 * cpus])
    add("--threads", type=int, default=max(2, cpus))
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.3, help="length of one turn on one thread")
    add("--quick", action="store_true", help="5 rounds")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    if options.quick:
        options.rounds = min(options.rounds, 5)
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


def fit_mlp32() -> Callable[[int], None]:
    """Epochs of mlp32; the argument counts its samples in thousands."""
    row = WORKLOADS["mlp32"]
    x, y, _ = load(row)
    hidden = [layers.Dense(d.units, activation=d.activation) for d in row.layers]
    model = Sequential([Input(row.input_shape), *hidden])
    model.compile(optimizers.SGD(0.01), row.loss)

    def run(thousands: int) -> None:
        # 3200 samples at a time: a call of fit per turn would be one plan run.
        for _ in range(max(1, round(thousands / 3.2))):
            model.fit(x[:3200], y[:3200], batch_size=row.batch, verbose=0)

    return run


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


def plan_of_products() -> Callable[[int], None]:
    products, tensors = _products()
    compiled = fastnn.function(products)

    def run(calls: int) -> None:
        for _ in range(calls):
            compiled(*tensors)

    return run


def eager_products() -> Callable[[int], None]:
    products, tensors = _products()

    def run(calls: int) -> None:
        for _ in range(calls):
            products(*tensors)

    return run


TASKS: dict[str, tuple[str, Callable[[], Callable[[int], None]]]] = {
    "`fit` of mlp32": ("1000 samples", fit_mlp32),
    "plan of three 256^3 products": ("call", plan_of_products),
    "the same, eager": ("call", eager_products),
}


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
    run = make()
    run(4)
    with spinning(spinners):
        probe = min(seconds_of(run, 4, "one", options.threads) for _ in range(3)) / 4
        units = max(4, round(options.seconds / probe))
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
        "median": medians,
        "better": better,
        "ratio": float(np.median(ratios)),
        "interval": [low, high],
        "costs": costs,
    }


def render(document: dict[str, Any]) -> str:
    threads = document["machine"]["threads"]
    head = ["", "spinning processes", "1 thread, us", f"{threads} threads, fixed, us"]
    head += ["adaptive, us", "adaptive / better [95 %]"]
    rows = []
    for r in document["results"]:
        times = [report.number(1e6 * r["median"][mode]) for mode in MODES]
        low, high = (report.number(v) for v in r["interval"])
        share = f"{report.number(r['ratio'])} [{low}, {high}]"
        per = f"{r['task']}, per {r['unit']}"
        rows.append([per, str(r["spinners"]), *times, share])
    title = (
        f"### On a loaded machine: {document['machine']['cores']} cores, load "
        f"{document['load_before']:.1f} before the first turn"
    )
    return f"{title}\n\n{report.table(head, rows)}"


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    sheet, load_before = machine_sheet(options.threads), os.getloadavg()[0]
    results = [
        measure_task(name, spinners, options)
        for spinners in options.spinners
        for name in TASKS
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
