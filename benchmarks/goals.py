# SPDX-License-Identifier: Apache-2.0
"""What fastnn must reach, and the table that says where it does.

Ratios are peer over fastnn within a run; `best` is against the fastest of all peers of
the run whose losses are right, `tf_keras` against `fit` of the framework whose
interface this is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.formatting import number, table
from benchmarks.peers import PEERS


class Goal(NamedTuple):
    """A workload: (must, aim) against the best peer, and against tf.keras."""

    best: tuple[float, float]
    tf_keras: tuple[float, float] | None = None


TRAINING: dict[str, Goal] = {
    "mlp32": Goal((1.3, 2.0), (10, 15)),
    "mlp128": Goal((1.2, 1.5)),
    "reg32": Goal((3, 6), (200, 600)),
    "deep32": Goal((4, 8), (16, 16)),
    "wide512": Goal((1.15, 1.3)),
    "lenet64": Goal((2, 3), (2.5, 2.5)),
    "cnn32": Goal((1.15, 1.4), (1.15, 1.15)),
}
FIRST_STEP_MS = 20.0, 5.0
# Of torch's peak of memory.
MEMORY = 1.0, 0.5
ANSWERS = 1.0, 1.3
IMPORT_MS = 25.0, 10.0
# Slower than alone, over what the share of the processors explains, at most.
LOADED = 3.0, 1.5
INSTALLED_MB = 100.0, 100.0


def believed(rows: dict[str, Any], ours: str) -> dict[str, Any]:
    """The peers of a result that did the same work."""
    return {n: r for n, r in rows.items() if n != ours and r["agreement"]["ok"]}


def best_peer(result: dict[str, Any]) -> str | None:
    """The peer that is closest to ours, or furthest ahead of it."""
    peers = {
        name: row["ratio"]["median"]
        for name, row in believed(result["peers"], result["ours"]).items()
        if row.get("ratio")
    }
    return min(peers, key=peers.__getitem__) if peers else None


class Verdict(NamedTuple):
    """One measure of one workload, and what it had to be: at least, or at most."""

    workload: str
    measure: str
    got: float
    must: float
    aim: float
    at_most: bool = False

    @property
    def reached(self) -> str:
        """ "aim", "must", or how much of "must" there is."""
        share, aim = self.got / self.must, self.got / self.aim
        if self.at_most:
            share, aim = 1 / share, 1 / aim
        if share < 1:
            return f"{100 * share:.0f} % of must"
        return "aim" if aim >= 1 else "must"


def answer_verdicts(document: dict[str, Any]) -> Iterable[Verdict]:
    """What a latency run says: answers beside ONNX Runtime's, import, size on disk."""
    for result in document["predict"]:
        peer = result["peers"].get("onnxruntime", {})
        if peer.get("ratio") and result["peers"][result["ours"]]["equal"]:
            name, ratio = f"predict {result['rows']}", peer["ratio"]["median"]
            yield Verdict(name, "times ONNX Runtime", ratio, *ANSWERS)
    if "fastnn" in document["imports"]:
        ms = 1e3 * document["imports"]["fastnn"]
        yield Verdict("import", "ms over NumPy's", ms, *IMPORT_MS, True)
    if "fastnn" in document["installed"]:
        size = document["installed"]["fastnn"] / 1e6
        yield Verdict("installed", "MB with dependencies", size, *INSTALLED_MB, True)


def verdicts(result: dict[str, Any]) -> Iterable[Verdict]:
    """What one workload's result says about its goals; nothing for wrong losses."""
    name, rows = result["workload"]["name"], result["peers"]
    ours, goal = rows.get(result["ours"]), TRAINING.get(name)
    if goal is None or ours is None or not ours["agreement"]["ok"]:
        return
    peers = believed(rows, result["ours"])
    best = best_peer(result)
    if best is not None:
        ratio = peers[best]["ratio"]["median"]
        yield Verdict(name, f"times {PEERS[best].short} (best)", ratio, *goal.best)
    if "tf_keras" in peers and goal.tf_keras is not None:
        ratio = peers["tf_keras"]["ratio"]["median"]
        yield Verdict(name, "times tf.keras", ratio, *goal.tf_keras)
    first = 1e3 * ours["first_step"]
    yield Verdict(name, "first step, ms", first, *FIRST_STEP_MS, True)
    if "torch" in peers and ours.get("memory") and peers["torch"].get("memory"):
        share = ours["memory"] / peers["torch"]["memory"]
        yield Verdict(name, "memory of torch's", share, *MEMORY, True)


def slowdowns(document: dict[str, Any]) -> dict[tuple[str, int], float]:
    """(task, spinning processes) of a loaded run -> times slower than without them."""
    results = document["results"]
    alone = {r["task"]: r["median"]["adaptive"] for r in results if not r["spinners"]}
    return {
        (r["task"], r["spinners"]): r["median"]["adaptive"] / alone[r["task"]]
        for r in results
        if r["spinners"] and r["task"] in alone
    }


def loaded_verdicts(document: dict[str, Any]) -> Iterable[Verdict]:
    """What a loaded run says with as many spinning processes as processors."""
    slower = slowdowns(document)
    for r in document["results"]:
        key = r["task"], document["machine"]["cores"]
        if r["spinners"] == key[1] and key in slower:
            over = slower[key] / r["explained"]
            yield Verdict(r["task"], "slower, over its share", over, *LOADED, True)


def goals_table(found: Iterable[Verdict]) -> str:
    """What had to be reached, and whether it was."""
    rows = []
    for v in found:
        sign = "at most" if v.at_most else "at least"
        got = number(v.got) if v.reached in ("must", "aim") else f"**{number(v.got)}**"
        must, aim = f"{sign} {number(v.must)}", number(v.aim)
        rows.append([v.workload, v.measure, got, must, aim, v.reached])
    return table(["", "measure", "got", "must", "aim", "reached"], rows)
