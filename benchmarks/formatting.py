# SPDX-License-Identifier: Apache-2.0
"""Markdown tables, numbers, ratios and the machine sheet as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.peers import PEERS


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three significant digits, no exponent for the sizes that occur."""
    if value == 0:
        return "0"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def label(name: str) -> str:
    return PEERS[name].label


def ratio_text(ratio: dict[str, Any] | None, ours: bool) -> str:
    if ours:
        return "1"
    if ratio is None:
        return "-"
    text = (
        f"{number(ratio['median'])} [{number(ratio['low'])}, {number(ratio['high'])}]"
    )
    return text + " noisy" if ratio["noisy"] else text


def rounds_text(row: dict[str, Any]) -> str:
    cost = row["cost"]
    return f"{cost['kept']}/{cost['turns']}"


def machine_text(document: dict[str, Any]) -> str:
    sheet = document["machine"]
    facts = ", ".join(
        f"{key} {sheet[key]}"
        for key in (
            *("cpu", "cores", "flags", "virtual machine", "openblas", "python"),
            "load before",
        )
    )
    versions: dict[str, str] = {}
    for holder in (document, *document.get("results", [])):
        for found in holder.get("versions", {}).values():
            versions |= found
    listed = ", ".join(f"{key} {value}" for key, value in sorted(versions.items()))
    busy = " Processor time, for the machine was busy."
    clock = busy if document.get("clock") == "processor" else ""
    quick = " **Quick run: an impression, not a result.**" if document["quick"] else ""
    above = "" if document["kind"] == "loaded" else ", above 1 means ours is faster"
    return (
        f"{sheet['date']}, revision {sheet['revision']}: {facts}. {listed}. "
        f"{document['rounds']} interleaved rounds; ratio = median of the per-round "
        f"ratios with a 95 % bootstrap interval{above}.{clock}{quick}"
    )
