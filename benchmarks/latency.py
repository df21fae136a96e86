# SPDX-License-Identifier: Apache-2.0
"""What one waits for: `import`, and one answer of 784-300-100-10 for 1, 32, 1024 rows.

    python -m benchmarks.latency [--quick] [--peers onnxruntime ...]

Outputs are compared with float64 NumPy before times. Writes
benchmarks/results/latency.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, report
from benchmarks.installed import installed_bytes
from benchmarks.machine import machine_sheet
from benchmarks.peers import PEERS
from benchmarks.peers.numpy_ import NumpyPeer
from benchmarks.processes import environment
from benchmarks.session import Session, add_machine_options, check_clock
from benchmarks.train import RESULTS, say, store
from benchmarks.turns import interleave, ratios
from benchmarks.workloads import ROOT, WORKLOADS, initial_weights, load

MODEL = WORKLOADS["mlp32"]
ROWS = (1, 32, 1024)
_LEFT_OUT = (
    "jax_scan",
    "torch_last",
    "torch_compile",
    "tf_keras_tuned",
    "tf_keras_jit",
)

_IMPORT = """
import sys, time
sys.path = [p for p in sys.path if p] + [{root!r}]
import numpy
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def import_seconds(name: str, repeats: int) -> float | None:
    """Least time of the import statement once NumPy is loaded; None when absent."""
    info = PEERS[name]
    seconds = []
    for _ in range(repeats):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                _IMPORT.format(statement=info.imports, root=str(ROOT)),
            ],
            capture_output=True,
            text=True,
            env=environment(2, dict(info.env)),
        )
        if done.returncode:
            say(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            return None
        seconds.append(float(done.stdout))
    return min(seconds)


def sizes(names: list[str]) -> dict[str, int]:
    """Installed bytes with all dependencies of each framework that is here."""
    found: dict[str, int] = {}
    for name in names:
        try:
            found[name] = installed_bytes(*PEERS[name].distributions)
        except PackageNotFoundError as error:
            say(f"{name}: {error} is not installed")
    return found


def measure_rows(
    session: Session, rows: int, options: argparse.Namespace, expected: np.ndarray
) -> dict[str, Any]:
    """All peers on `rows` rows, interleaved."""
    equal: dict[str, bool] = {}
    for name in session.names:
        answer = session.attempt(name, "predict", rows=rows, calls=1)
        if answer is None:
            continue
        equal[name] = bool(np.allclose(answer["first"], expected, rtol=1e-4, atol=1e-7))
    names = list(equal)
    samples = interleave(
        session, names, options.rounds, options.seconds, 1.0, "predict", rows=rows
    )
    say(f"predict {rows}")
    peers = ratios(samples, names, options.ours)
    for name, row in peers.items():
        row["equal"] = equal[name]
    stored = harness.to_json(samples)
    return {"rows": rows, "ours": options.ours, "peers": peers, "samples": stored}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    sheet = machine_sheet(options.threads)
    imports = {n: import_seconds(n, options.repeats) for n in options.peers}
    x, y, source = load(MODEL)
    weights = initial_weights(MODEL)
    oracle = NumpyPeer(np.float64)
    oracle.setup(MODEL, weights, x, y)
    # The peers have trained one batch in `setup`; those that cannot have not.
    untrained = oracle.predict(x[:1].astype(np.float64)).ravel()
    session = Session("peer", options.peers, options.threads, say, options.clock)
    with tempfile.TemporaryDirectory() as folder:
        store(MODEL, Path(folder))
        try:
            for name in session.names:
                session.attempt(name, "setup", workload=MODEL.name, folder=folder)
                if name in session.names:
                    session.attempt(name, "reset")
            predict = [measure_rows(session, n, options, untrained) for n in ROWS]
        finally:
            session.close()
    return {
        "kind": "latency",
        "quick": options.quick,
        "rounds": options.rounds,
        "clock": options.clock,
        "machine": sheet,
        "source": source,
        "imports": {n: s for n, s in imports.items() if s is not None and n != "numpy"},
        "installed": sizes(options.peers),
        "absent": session.absent,
        "versions": session.versions,
        "probe": session.probe_kind,
        "predict": predict,
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.latency", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    usual = [name for name in PEERS if name not in _LEFT_OUT]
    add = parser.add_argument
    add("--peers", nargs="+", default=usual, choices=list(PEERS))
    add("--ours", default="fastnn")
    add_machine_options(parser)
    add("--rounds", type=int, default=15)
    add("--seconds", type=float, default=0.2, help="length of one turn")
    add("--repeats", type=int, default=5, help="imports of each framework")
    add("--quick", action="store_true", help="5 rounds of 0.1 s, 2 imports")
    add("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    check_clock(parser, options.clock, options.threads)
    if options.quick:
        options.rounds, options.repeats = min(options.rounds, 5), 2
        options.seconds = 0.1
    document = measure(options)
    report.write_json(options.out / "latency.json", document)
    print(report.render(document))


if __name__ == "__main__":
    main()
