# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown, and the generated blocks of README.md and docs/performance.md.

    python -m benchmarks.report [results/*.json]

A row in which a peer is ahead is shown like any other; a framework whose losses differ
is shown without a ratio, because its time is not the time of the same work.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results")
START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    """Three significant digits, no exponent for the sizes that occur."""
    if value == 0:
        return "0"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _label(name: str) -> str:
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


def _rounds_text(row: dict[str, Any]) -> str:
    cost = row["cost"]
    return f"{cost['kept']}/{cost['turns']}"


def _train_rows(result: dict[str, Any]) -> Iterable[list[str]]:
    ours = result["ours"]
    believed = _believed(result)
    peers = sorted(result["peers"].items(), key=lambda item: item[1]["cost"]["median"])
    for name, row in peers:
        agreement, cost = row["agreement"], row["cost"]
        equal = agreement["ok"]
        losses = "equal" if equal else f"**differ** {agreement['epoch']:.0e}"
        chosen = f" ({row['chosen']})" if row.get("chosen") else ""
        label = _label(name) + chosen
        yield [
            f"**{label}**" if name == ours else label,
            number(cost["median"] * 1e6),
            number(cost["min"] * 1e6),
            ratio_text(row.get("ratio") if equal and believed else None, name == ours),
            losses,
            number(row["first_step"] * 1e3),
            _rounds_text(row),
        ]


def _train(document: dict[str, Any]) -> str:
    parts = []
    for result in document["results"]:
        work = result["workload"]
        layers = "-".join(str(layer["units"]) for layer in work["layers"])
        width = "x".join(map(str, work["input_shape"]))
        title = (
            f"### {work['name']}: {width}-{layers}, batch {work['batch']}, "
            f"{work['optimizer']['name']}, {work['samples']} samples of "
            f"{result['source']}, {document['machine']['threads']} threads"
        )
        head = ["", "us/sample", "least", f"times {result['ours']} [95 %]"]
        head += ["losses", "first step, ms", "clean turns"]
        absent = "".join(f"\n{_label(n)}: {why}" for n, why in result["absent"].items())
        parts.append(
            f"{title}\n\n{table(head, _train_rows(result))}\n{absent}".rstrip()
        )
    return "\n\n".join(parts)


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
                _rounds_text(row),
            ]
            for name, row in sorted(
                result["peers"].items(), key=lambda item: item[1]["cost"]["median"]
            )
        ]
        parts.append(table(head, rows))
    imports = sorted(document["imports"].items(), key=lambda item: item[1])
    rows = [[PEERS[name].short, number(seconds * 1e3)] for name, seconds in imports]
    parts.append("### `import`, ms over `import numpy`")
    parts.append(table(["", "ms"], rows))
    return "\n\n".join(parts)


def _gemm(document: dict[str, Any]) -> str:
    from benchmarks.peers.gemm_ import LABELS

    names, ours = document["names"], document["ours"]
    others = [name for name in names if name != ours]
    head = ["product", "M x K x N"]
    head += [f"{LABELS[name]}, GFLOP/s (of peak)" for name in names]
    head += [f"{LABELS[ours]} : {LABELS[name]}" for name in others]
    rows = []
    for result in document["results"]:
        cells = result["libraries"]
        line = [result["form"], "x".join(str(result[key]) for key in "mkn")]
        line += [_gemm_cell(cells.get(name)) for name in names]
        line += [ratio_text(cells.get(name, {}).get("ratio"), False) for name in others]
        rows.append(line)
    threads, probe = document["machine"]["threads"], document["probe"]
    title = f"### Matrix products, float32, {threads} threads (peak probe: {probe})"
    notes = document.get("versions", {}).get("fastnn_bf16", {})
    note = f"\n\nbfloat16: {notes['bfloat16']}" if notes else ""
    return f"{title}\n\n{table(head, rows)}{note}"


def _gemm_cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "-"
    return f"{number(cell['gflops'])} ({100 * cell['of_peak']:.0f} %)"


def _kernels(document: dict[str, Any]) -> str:
    """A row per task: our speed and share of the limit, and the faster torch layout."""
    head = ["kernel", "fastnn", "of limit", "torch", "layout", "ratio [95 %]", "must"]
    rows = []
    for result in document["results"]:
        cells = dict(result["libraries"])
        ours = cells.pop(document["ours"], None)
        unit, share = result["unit"], ours and ours["of_limit"]
        line = [result["name"], f"{number(ours['speed'])} {unit}" if ours else "wrong"]
        line.append(f"{100 * share:.0f} %" if share else "-")
        if not cells:
            rows.append([*line, "-", "-", "-", number(result["must"])])
            continue
        best = max(cells, key=lambda name: cells[name]["speed"])
        layout = "channels_last" if best.endswith("last") else "default"
        line += [number(cells[best]["speed"]), layout]
        ratio = ratio_text(cells[best].get("ratio"), False)
        rows.append([*line, ratio, number(result["must"])])
    threads, probe = document["machine"]["threads"], document["probe"]
    title = f"### Single kernels, float32, {threads} threads (limits: {probe})"
    return f"{title}\n\n{table(head, rows)}"


def _loaded(document: dict[str, Any]) -> str:
    from benchmarks.loaded import render

    return render(document)


_RENDER = {
    "train": _train,
    "latency": _latency,
    "gemm": _gemm,
    "kernels": _kernels,
    "loaded": _loaded,
}


def machine_text(document: dict[str, Any]) -> str:
    sheet = document["machine"]
    facts = ", ".join(
        f"{key} {sheet[key]}"
        for key in ("cpu", "cores", "flags", "virtual machine", "openblas", "python")
    )
    versions: dict[str, str] = {}
    for holder in (document, *document.get("results", [])):
        for found in holder.get("versions", {}).values():
            versions |= found
    listed = ", ".join(f"{key} {value}" for key, value in sorted(versions.items()))
    quick = " **Quick run: an impression, not a result.**" if document["quick"] else ""
    above = "" if document["kind"] == "loaded" else ", above 1 means ours is faster"
    return (
        f"{sheet['date']}, revision {sheet['revision']}: {facts}. {listed}. "
        f"{document['rounds']} interleaved rounds; ratio = median of the per-round "
        f"ratios with a 95 % bootstrap interval{above}.{quick}"
    )


def render(document: dict[str, Any]) -> str:
    """Markdown of one result file."""
    return f"{_RENDER[document['kind']](document)}\n\n{machine_text(document)}\n"


def brief(documents: Sequence[dict[str, Any]]) -> str:
    """One table for the front page: training, a column per workload."""
    train = [document for document in documents if document["kind"] == "train"]
    if not train:
        return ""
    document = train[0]
    results = document["results"]
    names = [n for n in _order(results) if any(n in r["peers"] for r in results)]
    head = [""] + [f"{r['workload']['name']}, us/sample" for r in results]
    rows = [[_label(n), *(_brief_cell(r, n) for r in results)] for n in names]
    note = (
        f"Training, {document['machine']['threads']} threads; in brackets how many "
        "times longer than fastnn, median over interleaved rounds, below 1 where the "
        "peer is ahead. Intervals, matrix products, answers and start-up: "
        "[docs/performance.md](docs/performance.md)."
    )
    return f"{table(head, rows)}\n\n{note}\n\n{machine_text(document)}\n"


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
    if name == result["ours"] or not _believed(result):
        return time
    noisy = " noisy" if row["ratio"]["noisy"] else ""
    return f"{time} ({number(row['ratio']['median'])}{noisy})"


def _believed(result: dict[str, Any]) -> bool:
    """Are there ratios at all? Only when our own losses are right."""
    ours = result["peers"].get(result["ours"])
    return ours is not None and bool(ours["agreement"]["ok"])


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
    pages = {ROOT / "README.md": brief(documents)}
    pages[ROOT / "docs" / "performance.md"] = text
    for path, content in pages.items():
        done = put(path, content)
        print(f"{path.name}: {'updated' if done else f'no {START} block'}")


if __name__ == "__main__":
    main()
