# SPDX-License-Identifier: Apache-2.0
"""Tables of a training run: per workload, its goals, and the one of the front page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.formatting import (
    label,
    machine_text,
    number,
    ratio_text,
    rounds_text,
    table,
)
from benchmarks.goals import goals_table, verdicts


def _train_rows(result: dict[str, Any]) -> Iterable[list[str]]:
    ours = result["ours"]
    believed = _right(result)
    peers = sorted(result["peers"].items(), key=lambda item: item[1]["cost"]["median"])
    for name, row in peers:
        agreement, cost = row["agreement"], row["cost"]
        equal = agreement["ok"]
        losses = "equal" if equal else f"**differ** {agreement['epoch']:.0e}"
        chosen = f" ({row['chosen']})" if row.get("chosen") else ""
        shown = label(name) + chosen
        yield [
            f"**{shown}**" if name == ours else shown,
            number(cost["median"] * 1e6),
            number(cost["min"] * 1e6),
            ratio_text(row.get("ratio") if equal and believed else None, name == ours),
            losses,
            number(row["first_step"] * 1e3),
            number(row["memory"] / 1e6) if row.get("memory") else "-",
            rounds_text(row),
        ]


def render(document: dict[str, Any]) -> str:
    parts = []
    for result in document["results"]:
        work = result["workload"]
        title = (
            f"### {work['name']}: {work['model']}, batch {work['batch']}, "
            f"{work['optimizer']['name']}, {work['samples']} samples of "
            f"{result['source']}, {document['machine']['threads']} threads"
        )
        head = ["", "us/sample", "least", f"times {result['ours']} [95 %]"]
        head += ["losses", "first step, ms", "memory, MB", "clean turns"]
        absent = "".join(f"\n{label(n)}: {why}" for n, why in result["absent"].items())
        parts.append(
            f"{title}\n\n{table(head, _train_rows(result))}\n{absent}".rstrip()
        )
    found = [v for result in document["results"] for v in verdicts(result)]
    if found:
        parts += ["### Goals of training", goals_table(found)]
    return "\n\n".join(parts)


def brief(documents: Sequence[dict[str, Any]]) -> str:
    """The front page: a table for each training run, a column per workload."""
    train = [document for document in documents if document["kind"] == "train"]
    if not train:
        return ""
    note = (
        "Training; in brackets how many times longer than fastnn, median over "
        "interleaved rounds, below 1 where the peer is ahead. Goals, intervals, "
        "memory, matrix products, answers and start-up: "
        "[docs/performance.md](docs/performance.md)."
    )
    return "\n\n".join([*map(_brief_table, train), note]) + "\n"


def _brief_table(document: dict[str, Any]) -> str:
    results, threads = document["results"], document["machine"]["threads"]
    names = [n for n in _order(results) if any(n in r["peers"] for r in results)]
    unit = f"us/sample, {threads} thread" + ("s" if threads > 1 else "")
    head = [unit] + [r["workload"]["name"] for r in results]
    rows = [[label(n), *(_brief_cell(r, n) for r in results)] for n in names]
    return f"{table(head, rows)}\n\n{machine_text(document)}"


def _order(results: Sequence[dict[str, Any]]) -> list[str]:
    """Frameworks by their cost on the first workload, those that miss it last."""
    names = {name for result in results for name in result["peers"]}
    first = results[0]["peers"]
    return sorted(
        sorted(names),
        key=lambda n: first[n]["cost"]["median"] if n in first else float("inf"),
    )


def _brief_cell(result: dict[str, Any], name: str) -> str:
    row = result["peers"].get(name)
    if row is None:
        return "-"
    time = number(row["cost"]["median"] * 1e6)
    if not row["agreement"]["ok"]:
        return f"{time}, **losses differ**"
    if name == result["ours"] or not _right(result):
        return time
    noisy = " noisy" if row["ratio"]["noisy"] else ""
    return f"{time} ({number(row['ratio']['median'])}{noisy})"


def _right(result: dict[str, Any]) -> bool:
    """Are there ratios at all? Only when our own losses are right."""
    ours = result["peers"].get(result["ours"])
    return ours is not None and bool(ours["agreement"]["ok"])
