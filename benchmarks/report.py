# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown, and the generated blocks of README.md and docs/performance.md.

    python -m benchmarks.report [results/*.json]

A row in which a peer is ahead is shown like any other; a framework whose losses differ
is shown without a ratio, because its time is not the time of the same work.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import saving, train_tables
from benchmarks.formatting import (
    label,
    machine_text,
    number,
    ratio_text,
    rounds_text,
    table,
)
from benchmarks.goals import answer_verdicts, goals_table, loaded_verdicts, slowdowns
from benchmarks.peers import PEERS
from benchmarks.peers.eager_ import FUNCTION_MUST

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _latency(document: dict[str, Any]) -> str:
    threads = document["machine"]["threads"]
    parts = [f"### Answers: 784-300-100-10, us per call, {threads} threads"]
    for result in document["predict"]:
        head = [f"{result['rows']} rows", "us", "least"]
        head += [f"times {result['ours']} [95 %]", "outputs", "clean turns"]
        rows = [
            [
                PEERS[name].short,
                number(row["cost"]["median"] * 1e6),
                number(row["cost"]["min"] * 1e6),
                ratio_text(row.get("ratio"), name == result["ours"]),
                "equal" if row["equal"] else "**differ**",
                rounds_text(row),
            ]
            for name, row in sorted(
                result["peers"].items(), key=lambda item: item[1]["cost"]["median"]
            )
        ]
        parts.append(table(head, rows))
    imports = sorted(document["imports"].items(), key=lambda item: item[1])
    sizes = document["installed"]
    rows = [
        [
            PEERS[name].short,
            number(seconds * 1e3),
            number(sizes[name] / 1e6) if name in sizes else "-",
        ]
        for name, seconds in imports
    ]
    parts.append("### `import`, and what is installed with all dependencies")
    parts.append(table(["", "ms over `import numpy`", "MB"], rows))
    found = list(answer_verdicts(document))
    if found:
        parts += ["### Goals of answers and start-up", goals_table(found)]
    return "\n\n".join(parts)


def _gemm(document: dict[str, Any]) -> str:
    from benchmarks.peers.gemm_ import LABELS

    names, ours = document["names"], document["ours"]
    others = [name for name in names if name != ours]
    head = ["product", "M x K x N"]
    head += [f"{LABELS[name]}, GFLOP/s (of peak)" for name in names]
    for name in others:
        head += [f"{LABELS[ours]} : {LABELS[name]}", "at best"]
    rows = []
    for result in document["results"]:
        cells = result["libraries"]
        line = [result["form"], "x".join(str(result[key]) for key in "mkn")]
        line += [_gemm_cell(cells.get(name)) for name in names]
        for name in others:
            line.append(ratio_text(cells.get(name, {}).get("ratio"), False))
            line.append(_at_best(cells, ours, [name]))
        rows.append(line)
    threads, probe = document["machine"]["threads"], document["probe"]
    title = f"### Matrix products, float32, {threads} threads (peak probe: {probe})"
    notes = document.get("versions", {}).get("fastnn_bf16", {})
    note = f"\n\nbfloat16: {notes['bfloat16']}" if notes else ""
    return f"{title}\n\n{table(head, rows)}{note}"


def _at_best(cells: dict[str, Any], ours: str, others: list[str]) -> str:
    """The least time of the quickest of the others over our least time: on a machine
    that others disturb, the pair that was disturbed least.
    """
    costs = [cells[name]["cost"]["min"] for name in others if name in cells]
    if ours not in cells or not costs:
        return "-"
    return number(min(costs) / cells[ours]["cost"]["min"])


def _gemm_cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "-"
    return f"{number(cell['gflops'])} ({100 * cell['of_peak']:.0f} %)"


def _kernels(document: dict[str, Any]) -> str:
    """A row per task: our speed and share of the limit, and the faster torch layout."""
    head = ["kernel", "fastnn", "of limit", "torch", "layout", "ratio [95 %]"]
    head += ["at best", "must"]
    rows = []
    for result in document["results"]:
        cells = dict(result["libraries"])
        ours = cells.pop(document["ours"], None)
        unit, share = result["unit"], ours and ours["of_limit"]
        line = [result["name"], f"{number(ours['speed'])} {unit}" if ours else "wrong"]
        line.append(f"{100 * share:.0f} %" if share else "-")
        if not cells:
            rows.append([*line, "-", "-", "-", "-", number(result["must"])])
            continue
        best = max(cells, key=lambda name: cells[name]["speed"])
        layout = "channels_last" if best.endswith("last") else "default"
        line += [number(cells[best]["speed"]), layout]
        ratio = ratio_text(cells[best].get("ratio"), False)
        least = _at_best(result["libraries"], document["ours"], list(cells))
        rows.append([*line, ratio, least, number(result["must"])])
    threads, probe = document["machine"]["threads"], document["probe"]
    title = f"### Single kernels, float32, {threads} threads (limits: {probe})"
    return f"{title}\n\n{table(head, rows)}"


def _eager(document: dict[str, Any]) -> str:
    """A row per task; the loops have two more columns."""
    head = ["", "fastnn, us", "torch, us", "ratio [95 %]", "at best", "must"]
    head += ["step under @function, us", "loop under @function, us", "fit, us"]
    head += ["function / fit", "must at most"]
    rows = []
    for result in document["results"]:
        cells = result["libraries"]
        line = [result["name"], _eager_us(cells, "fastnn"), _eager_us(cells, "torch")]
        line.append(ratio_text(cells.get("torch", {}).get("ratio"), False))
        line.append(_at_best(cells, "fastnn", ["torch"]))
        line.append(number(result["must"]) if result["must"] else "-")
        over = cells.get("fastnn_function", {}).get("over_fit")
        ways = ("fastnn_step", "fastnn_function", "fastnn_fit")
        line += [_eager_us(cells, way) for way in ways]
        line += [ratio_text(over, False), number(FUNCTION_MUST) if over else "-"]
        rows.append(line)
    threads = document["machine"]["threads"]
    title = f"### Code written with tensors, eager, {threads} threads"
    return f"{title}\n\n{table(head, rows)}"


def _eager_us(cells: dict[str, Any], name: str) -> str:
    return number(1e6 * cells[name]["cost"]["median"]) if name in cells else "-"


def _growth(document: dict[str, Any]) -> str:
    """The curves, the numbers behind them and compile times."""
    parts = ["### How the cost grows", "![us per sample](growth.svg)"]
    for axis, result in document["axes"].items():
        points = result["points"]
        names = list(dict.fromkeys(n for point in points for n in point["peers"]))
        head = [f"{axis} ({result['fixed']})", "limit, us/sample"]
        head += [label(name) for name in names]
        rows = [
            [
                str(point["value"]),
                number(1e6 * point["limit"]),
                *(_growth_cell(point["peers"].get(name)) for name in names),
            ]
            for point in points
        ]
        parts.append(table(head, rows))
    if document["compile"]:
        parts.append("### Making the plan of a training step")
        rows = [
            [row["workload"]["name"], number(1e3 * min(row["seconds"]))]
            for row in document["compile"]
        ]
        parts.append(table(["model", "ms, least of some"], rows))
    return "\n\n".join(parts)


def _growth_cell(cells: dict[str, Any] | None) -> str:
    return number(1e6 * cells["cost"]["median"]) if cells else "-"


def _loaded(document: dict[str, Any]) -> str:
    """Beside the ratio of the modes: the slow-down over the share's."""
    threads = document["machine"]["threads"]
    head = ["", "spinning processes", "1 thread, us", f"{threads} threads, fixed, us"]
    head += ["adaptive, us", "adaptive / better [95 %]", "slower than alone"]
    head += ["by its share", "over it"]
    slower_by = slowdowns(document)
    rows = []
    for r in document["results"]:
        times = [number(1e6 * r["median"][mode]) for mode in r["median"]]
        low, high = (number(v) for v in r["interval"])
        ratio = f"{number(r['ratio'])} [{low}, {high}]"
        line = [f"{r['task']}, per {r['unit']}", str(r["spinners"]), *times, ratio]
        slower = slower_by.get((r["task"], r["spinners"]))
        if slower is not None:
            share = r["explained"]
            line += [number(slower), number(share), number(slower / share)]
        rows.append(line + ["-"] * (len(head) - len(line)))
    title = (
        f"### On a loaded machine: {document['machine']['cores']} cores, load "
        f"{document['load_before']:.1f} before the first turn"
    )
    parts = [title, table(head, rows)]
    found = list(loaded_verdicts(document))
    if found:
        parts += ["### Goals on a loaded machine", goals_table(found)]
    return "\n\n".join(parts)


_RENDER = {
    "train": train_tables.render,
    "growth": _growth,
    "latency": _latency,
    "gemm": _gemm,
    "kernels": _kernels,
    "eager": _eager,
    "loaded": _loaded,
    "saving": saving.render,
}


def render(document: dict[str, Any]) -> str:
    """Markdown of one result file."""
    return f"{_RENDER[document['kind']](document)}\n\n{machine_text(document)}\n"


def _draw(document: dict[str, Any]) -> str:
    from benchmarks.plots import draw_growth

    try:
        draw_growth(document, ROOT / "docs" / "growth.svg")
    except ImportError as error:
        return f"not drawn: {error}"
    return "drawn"


def put(path: Path, text: str) -> bool:
    """Replace the generated block of a file; False when it has none."""
    if not path.exists():
        return False
    content = path.read_text()
    if START not in content or END not in content:
        return False
    before, rest = content.split(START, 1)
    after = rest.split(END, 1)[1]
    path.write_text(f"{before}{START}\n{text.strip()}\n{END}{after}")
    return True


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.report")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--print", action="store_true", help="write no file")
    options = parser.parse_args(argv)
    files = options.files or sorted(RESULTS.glob("*.json"))
    documents = [json.loads(path.read_text()) for path in files]
    order = list(_RENDER)
    documents.sort(key=lambda d: (order.index(d["kind"]), -d["machine"]["threads"]))
    text = "\n".join(render(document) for document in documents)
    if options.print:
        print(text)
        return
    for document in documents:
        if document["kind"] == "growth":
            print(f"growth.svg: {_draw(document)}")
    pages = {ROOT / "README.md": train_tables.brief(documents)}
    pages[ROOT / "docs" / "performance.md"] = text
    files_of_models = [d for d in documents if d["kind"] == "saving"]
    if files_of_models:
        text = "\n".join(render(document) for document in files_of_models)
        pages[ROOT / "docs" / "saving.md"] = text
    for path, content in pages.items():
        done = put(path, content)
        print(f"{path.name}: {'updated' if done else f'no {START} block'}")


if __name__ == "__main__":
    main()
