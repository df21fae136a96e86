# SPDX-License-Identifier: Apache-2.0
"""Check every kernel of this installation on this machine.

    python -m fastnn.selftest [--isa NAME ...] [--ops NAME,NAME] [--time] [--json]

Runs the samples of every op and compares with its reference in NumPy, once for each
instruction set the CPU has; one line per family of kernels, each failure in full. Exit
status 0 when all agree, 1 when one does not. With --time, each kernel on one thread
beside the probed peaks of multiply-adds and of copies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from fastnn import __version__, _core
from fastnn.selftest import check, speed
from fastnn.selftest.cases import DTYPES


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fastnn.selftest", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    every = _core.available_isas()
    add("--isa", nargs="+", default=every, choices=every, help="default: all of them")
    add("--ops", type=lambda text: text.split(","), default=[], metavar="NAME,...")
    add("--time", action="store_true", help="speed too, of the best of these sets")
    add("--dtype", default="float32", choices=DTYPES, help="of --time")
    add("--json", action="store_true", help="everything as one JSON document")
    return parser.parse_args(argv)


def elsewhere(isa: str, options: argparse.Namespace) -> dict[str, Any]:
    """The check in a process that uses another instruction set."""
    command = [sys.executable, "-m", "fastnn.selftest", "--isa", isa, "--json"]
    if options.ops:
        command += ["--ops", ",".join(options.ops)]
    done = subprocess.run(
        command,
        env=os.environ | {"FASTNN_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        return json.loads(done.stdout)["checks"][0]
    except (ValueError, LookupError):
        lines = done.stderr.strip().splitlines() or ["no output"]
        failure = f"the process ended with status {done.returncode}: {lines[-1]}"
        crash = {"ops": 0, "cases": 0, "seconds": 0.0, "failures": [failure]}
        return {"isa": isa, "threads": 0, "families": {"(process)": crash}}


def show_check(report: dict[str, Any]) -> None:
    print(f"\n{report['isa']}, {report['threads']} threads")
    for name, family in report["families"].items():
        failures = family["failures"]
        verdict = f"{len(failures)} FAILED" if failures else "ok"
        print(
            f"  {name:<12}{family['ops']:>4} ops {family['cases']:>6} cases "
            f"{family['seconds']:>7.2f} s  {verdict}"
        )
        for failure in failures:
            print("    " + failure.strip().replace("\n", "\n      "))


def show_speed(result: dict[str, Any]) -> None:
    print(
        f"\nspeed with {_core.isa()}, one thread; peaks here: "
        f"{result['fma_gflops']:.0f} GFLOP/s, copy {result['copy_gbs']:.1f} GB/s"
    )
    print(f"  {'kernel':<26}{'us':>10}{'GFLOP/s':>9}{'GB/s':>8}{'peak':>7}  inputs")
    for row in sorted(result["rows"], key=lambda row: (row["family"], row["op"])):
        flops = f"{row['gflops']:.1f}" if "gflops" in row else ""
        bytes_ = f"{row['gbs']:.1f}" if "gbs" in row else ""
        shapes = " ".join("x".join(map(str, s)) or "()" for s in row["shape"])
        print(
            f"  {row['op']:<26}{row['ns'] / 1e3:>10.1f}{flops:>9}{bytes_:>8}"
            f"{row['of_peak']:>7.0%}  {shapes}"
        )


def failures_in(checks: list[dict[str, Any]]) -> int:
    return sum(len(f["failures"]) for c in checks for f in c["families"].values())


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    try:
        check.chosen(options.ops)
    except ValueError as error:
        sys.exit(str(error))
    document: dict[str, Any] = {"fastnn": __version__, "checks": []}
    if not options.json:
        print(f"fastnn {__version__} selftest")
    for isa in options.isa:
        here = isa == _core.isa()
        report = check.check(options.ops) if here else elsewhere(isa, options)
        document["checks"].append(report)
        if not options.json:
            show_check(report)
    if options.time:
        document["speed"] = speed.measure(options.ops, options.dtype)
        if not options.json:
            show_speed(document["speed"])
    failed = failures_in(document["checks"])
    if options.json:
        print(json.dumps(document))
    else:
        print(f"\n{failed} failures" if failed else "\nall kernels agree")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
