# SPDX-License-Identifier: Apache-2.0
"""Writes docs/onnx.md and records which of the ONNX project's node tests pass.

`PYTHONPATH=$PWD:tests python tools/record_onnx.py`, with onnx installed; the
file and the record are written anew. Tests that passed before and do not now are
printed, and the exit status is 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnx_node_tests as node_tests

from fastnn.onnx.export.model import OPSET, OPSETS
from fastnn.onnx.export.table import writers
from fastnn.onnx.importing.functions import function_names
from fastnn.onnx.importing.reading import LARGEST
from fastnn.onnx.importing.reading import OPSETS as READ
from fastnn.onnx.importing.table import readers
from fastnn.onnx.importing.wire import DEPTH
from fastnn.opset import all_ops

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "onnx.md"
HEAD = ROOT / "tools" / "onnx_head.md"


def main() -> int:
    cases = node_tests.collect()
    tried = [case for case in cases if node_tests.covered(case)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "node.onnx"
        found = {case.name: node_tests.run(case, path) for case in tried}
    passed = sorted(name for name, why in found.items() if not why)
    _, before = node_tests.recorded() if node_tests.RECORD.exists() else ("", set())
    node_tests.RECORD.write_text("\n".join([onnx.__version__, *passed]) + "\n")
    PAGE.write_text(page(cases, found))
    lost = sorted(before - set(passed))
    print(f"{len(passed)} of {len(tried)} pass; lost: {lost}")
    return 1 if lost else 0


def page(cases: list, found: dict[str, str]) -> str:
    parts = [HEAD.read_text().format(**facts()), coverage(), tests(cases, found)]
    return "\n".join(parts)


def facts() -> dict[str, object]:
    return {
        "opset": OPSET,
        "lowest": OPSETS[0],
        "highest": OPSETS[-1],
        "lowest_read": READ[0],
        "highest_read": READ[-1],
        "file_bytes": LARGEST,
        "depth": DEPTH,
    }


def coverage() -> str:
    """Ops that are written and read: the two tables."""
    plain = [
        name
        for name, op in all_ops().items()
        if op.kind not in ("update", "random", "host") and "_grad" not in name
    ]
    written = [name for name in plain if name in writers()]
    missing = [name for name in plain if name not in writers()]
    read = sorted(readers())
    defined = [op for op in function_names(READ[-1]) if op not in readers()]
    return "\n".join(
        [
            "## Ops",
            "",
            f"Written, {len(written)} of fastnn's {len(plain)} ops that inference may "
            f"have: {', '.join(written)}.",
            "",
            f"Not written: {', '.join(missing)}; random numbers, and what runs on the "
            f"host (decompositions, Fourier transforms).",
            "",
            f"Read, {len(read)} ops of ONNX: {', '.join(read)}.",
            "",
            f"Read by the definition that ONNX gives of them, {len(defined)} more: "
            f"{', '.join(defined)}.",
            "",
        ]
    )


def tests(cases: list, found: dict[str, str]) -> str:
    good = sum(1 for why in found.values() if not why)
    lines = [
        "## Node tests",
        "",
        f"onnx {onnx.__version__} has {len(cases)} node tests. {len(found)} of them "
        f"have only ops of the list above and dtypes that fastnn has; **{good} pass "
        f"({100 * good / len(found):.1f} %)**. The others:",
        "",
        "| test | why |",
        "|---|---|",
    ]
    lines += [f"| {name} | {short(why)} |" for name, why in found.items() if why]
    other = Counter(reason(case) for case in cases if case.name not in found)
    lines += ["", "Not tried, by the op or dtype that is not read:", ""]
    listed = sorted(other.items(), key=lambda pair: (-pair[1], pair[0]))
    lines += [", ".join(f"{name} {count}" for name, count in listed) + ".", ""]
    return "\n".join(lines)


def short(why: str) -> str:
    why = why.replace("|", "/")
    return why if len(why) <= 120 else why[:117] + "..."


def reason(case: object) -> str:
    missing = node_tests.unknown(case)
    return missing[0] if missing else "other dtypes"


if __name__ == "__main__":
    sys.exit(main())
