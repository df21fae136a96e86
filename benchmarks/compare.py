# SPDX-License-Identifier: Apache-2.0
"""Two result files of the same kind, side by side, for a pull request.

    python -m benchmarks.compare before.json after.json [--name fastnn]

Times of different hours are not divided: each file's *ratio to a peer of its own run*
is, so that a slower machine today cancels out. The peer is the one with the narrowest
interval in both files, or `--against`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.formatting import number, table


def cells(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Task -> framework -> row with `cost` and, for the others, `ratio` to ours."""
    if document["kind"] == "train":
        return {r["workload"]["name"]: r["peers"] for r in document["results"]}
    if document["kind"] == "latency":
        return {f"predict {r['rows']}": r["peers"] for r in document["predict"]}
    return {
        f"{r['form']} {r['m']}x{r['k']}x{r['n']}": r["libraries"]
        for r in document["results"]
    }


def _spread(row: dict[str, Any]) -> float:
    ratio = row["ratio"]
    return (ratio["high"] - ratio["low"]) / ratio["median"]


def yardstick(before: dict[str, Any], after: dict[str, Any], name: str) -> str | None:
    """The peer whose ratio to `name` is the most certain in both runs."""
    both = [
        peer
        for peer in before
        if peer != name and "ratio" in before[peer] and "ratio" in after.get(peer, {})
    ]
    if not both:
        return None
    return min(both, key=lambda peer: max(_spread(before[peer]), _spread(after[peer])))


def verdict(before: dict[str, Any], after: dict[str, Any]) -> str:
    """A change is one only when the two intervals do not touch."""
    if after["low"] > before["high"]:
        return "faster"
    return "slower" if after["high"] < before["low"] else "same"


def rows(
    before: dict[str, Any], after: dict[str, Any], name: str, against: str | None
) -> Iterable[list[str]]:
    old, new = cells(before), cells(after)
    for task in old:
        if task not in new or name not in old[task] or name not in new[task]:
            continue
        costs = [number(c[task][name]["cost"]["median"] * 1e6) for c in (old, new)]
        if _is_gemm(before):
            costs = [number(c[task][name]["gflops"]) for c in (old, new)]
        peer = against or yardstick(old[task], new[task], name)
        if peer is None or peer not in old[task] or peer not in new[task]:
            yield [task, *costs, "-", "-", "-", "-", "no common peer"]
            continue
        a, b = old[task][peer]["ratio"], new[task][peer]["ratio"]
        change = f"{100 * (b['median'] / a['median'] - 1):+.1f} %"
        ratios = [number(a["median"]), number(b["median"])]
        yield [task, *costs, peer, *ratios, change, verdict(a, b)]


def _is_gemm(document: dict[str, Any]) -> bool:
    return document["kind"] == "gemm"


def render(
    before: dict[str, Any], after: dict[str, Any], name: str, against: str | None = None
) -> str:
    """Markdown table of what changed for `name` between two runs.

    Raises:
        ValueError: the files are of different kinds, or of another machine.
    """
    if before["kind"] != after["kind"]:
        kinds = f"{before['kind']!r} and {after['kind']!r}"
        raise ValueError(f"[compare] the files hold {kinds}: give two of one kind.")
    cpus = {d["machine"]["cpu"] for d in (before, after)}
    if len(cpus) > 1:
        raise ValueError(f"[compare] measured on different machines: {sorted(cpus)}.")
    unit = "GFLOP/s" if _is_gemm(before) else "us"
    head = ["task", f"{unit} before", f"{unit} after", "against"]
    head += ["ratio before", "after", "change", "verdict"]
    return table(head, rows(before, after, name, against))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--name", default="fastnn")
    parser.add_argument("--against", help="peer that serves as the yardstick")
    options = parser.parse_args(argv)
    documents = [json.loads(p.read_text()) for p in (options.before, options.after)]
    print(render(*documents, options.name, options.against))


if __name__ == "__main__":
    main()
