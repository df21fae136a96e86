# SPDX-License-Identifier: Apache-2.0
"""Matrix products: GFLOP/s and the share of the FMA peak probed in the same turn.

    python -m benchmarks.gemm [--quick] [--threads 1,2] [--peers numpy torch ...]
                              [--sizes 512x784x784 ...]

The shapes are those of the training workloads in their three forms (forward, input
gradient, weight gradient) and squares. Results are checked against float64 before they
are timed. fastnn also multiplies in bfloat16; the table says whether the CPU has
instructions for it. Writes benchmarks/results/gemm_<threads>.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.machine import machine_sheet
from benchmarks.peers.gemm_ import LIBRARIES, WORST_ERROR, WORST_FLOAT32
from benchmarks.session import Session
from benchmarks.train import RESULTS, say
from benchmarks.turns import interleave, ratios

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


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gemm", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    libraries = list(LIBRARIES)
    sizes = sorted({size_of(shape) for shape in SHAPES})
    add("--peers", nargs="+", default=libraries, choices=libraries)
    add("--ours", default="fastnn", choices=libraries)
    add("--threads", nargs="+", default=["1,2"], help="1 2, or 1,2")
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.2, help="length of one turn")
    add("--quick", action="store_true", help="5 rounds of 0.1 s of a few shapes")
    add("--sizes", nargs="+", choices=sizes, help="shapes m x k x n, all unless given")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    options.threads = [int(n) for text in options.threads for n in text.split(",")]
    if options.quick:
        options.rounds, options.seconds = min(options.rounds, 5), 0.1
    return options


def size_of(shape: tuple[str, int, int, int]) -> str:
    return "x".join(map(str, shape[1:]))


def chosen_shapes(options: argparse.Namespace) -> list[tuple[str, int, int, int]]:
    if options.sizes:
        return [shape for shape in SHAPES if size_of(shape) in options.sizes]
    return list(QUICK if options.quick else SHAPES)


def measure_shape(
    session: Session, shape: tuple[str, int, int, int], options: argparse.Namespace
) -> dict[str, Any]:
    """One product by every library, in interleaved rounds."""
    form, m, k, n = shape
    ready = []
    for name in session.names:
        answer = session.attempt(name, "prepare", form=form, m=m, k=k, n=n)
        if answer is None:
            continue
        if not answer["worst"] < WORST_ERROR.get(name, WORST_FLOAT32):
            say(f"{name} {shape}: WRONG by {answer['worst']:.1e}, not timed")
            continue
        ready.append(name)
    flops = 2.0 * m * k * n
    samples = interleave(session, ready, options.rounds, options.seconds, flops)
    cells = ratios(samples, ready, options.ours)
    for name, cell in cells.items():
        own = [s for s in samples if s.name == name]
        shares = [1e-9 / s.cost / max(s.fma) for s in own if not s.dropped]
        shares = shares or [1e-9 / s.cost / max(s.fma) for s in own]
        cell["gflops"] = 1e-9 / cell["cost"]["median"]
        cell["of_peak"] = float(np.median(shares))
    say(f"{form} {m}x{k}x{n}: {_line(cells)}")
    result = {"form": form, "m": m, "k": k, "n": n, "libraries": cells}
    return result | {"samples": harness.to_json(samples)}


def _line(cells: dict[str, Any]) -> str:
    return ", ".join(f"{name} {cell['of_peak']:.0%}" for name, cell in cells.items())


def measure(options: argparse.Namespace, threads: int) -> dict[str, Any]:
    """All shapes; what is measured so far is stored after each."""
    sheet = machine_sheet(threads)
    session = Session("gemm", options.peers, threads, say)
    document = {
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
        "results": [],
    }
    try:
        for shape in chosen_shapes(options):
            document["results"].append(measure_shape(session, shape, options))
            report.write_json(options.out / f"gemm_{threads}.json", document)
    finally:
        session.close()
    return document


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    for threads in options.threads:
        print(report.render(measure(options, threads)))


if __name__ == "__main__":
    main()
