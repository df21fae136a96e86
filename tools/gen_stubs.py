# SPDX-License-Identifier: Apache-2.0
"""Write the stubs of fastnn.ops and autodiff.raw, and docs/ops.md, from the ops.

python tools/gen_stubs.py            write them
python tools/gen_stubs.py --check    exit 1 when they are not current
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from fastnn import ops
from fastnn.opset import all_ops
from fastnn.opset._opdef import REQUIRED

ROOT = Path(__file__).resolve().parent.parent
STUB = ROOT / "fastnn" / "ops" / "__init__.pyi"
RAW = ROOT / "fastnn" / "autodiff" / "raw.pyi"
TABLE = ROOT / "docs" / "ops.md"
NAMESPACES = ("image", "linalg", "nn", "numpy")


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").split("\n")[0]


def stub() -> str:
    """Signatures of the public functions, as a stub file."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by tools/gen_stubs.py from the functions; do not edit.",
        "# fmt: off",
        "from typing import Any",
        "",
        "import numpy as np",
        "",
        "from fastnn.autodiff import raw as _raw  # noqa: F401",
        "from fastnn.autodiff.tensor import Tensor",
        *(f"from fastnn.ops import {m} as {m}" for m in NAMESPACES),
        "",
    ]
    lines.append("__all__ = [")
    lines += [f'    "{name}",' for name in sorted(set(ops.__all__))]
    lines += ["]", ""]
    for name in sorted(set(ops.__all__)):
        function = getattr(ops, name)
        # Annotations are strings here: their quotes go, those of defaults stay.
        signature = re.sub(
            r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function))
        )
        signature = signature.replace("'", '"')
        if "->" not in signature:
            signature += " -> Any"
        if "Callable" in signature:
            signature = "(fun: Any) -> Any"
        lines.append(f"def {name}{signature}: ...{_long(name, signature)}")
    return "\n".join(lines) + "\n"


def _long(name: str, signature: str) -> str:
    return "  # noqa: E501" if len(name) + len(signature) > 79 else ""


def raw_stub() -> str:
    """Signatures of the strict functions of the registry, as a stub file."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by tools/gen_stubs.py from the records; do not edit.",
        "# fmt: off",
        "from typing import Any",
        "",
        "from fastnn.autodiff.tensor import Tensor",
        "from fastnn.opset import OpDef",
        "",
        "def scalar_like(name: str, value: Any, dtype: str) -> Tensor: ...",
        "def as_tensors(op: OpDef, values: tuple[Any, ...]) -> tuple[Tensor, ...]: ...",
    ]
    for op in all_ops().values():
        parameters = [f"{name}: Any" for name in op.inputs]
        parameters += [
            f"{a.name}: Any" + ("" if a.default is REQUIRED else " = ...")
            for a in op.attrs
        ]
        result = "Tensor" if len(op.outputs) == 1 else "tuple[Tensor, ...]"
        signature = f"({', '.join(parameters)}) -> {result}"
        lines.append(f"def {op.name}{signature}: ...{_long(op.name, signature)}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """Every op of the registry, and every function of fastnn.ops, one row each."""
    lines = [
        "# Ops",
        "",
        "Written by `tools/gen_stubs.py`; do not edit.",
        "",
        "## Records",
        "",
        "| op | inputs | attributes | kind | gradient | computes |",
        "|---|---|---|---|---|---|",
    ]
    for op in all_ops().values():
        attrs = ", ".join(a.name for a in op.attrs)
        grad = "yes" if op.vjp is not None else "-"
        doc = op.doc.replace("|", "\\|")
        inputs = ", ".join(op.inputs)
        lines.append(f"| {op.name} | {inputs} | {attrs} | {op.kind} | {grad} | {doc} |")
    lines += [
        "",
        "## `fastnn.ops`",
        "",
        "| function | in one line |",
        "|---|---|",
    ]
    functions = {name: getattr(ops, name) for name in sorted(set(ops.__all__))}
    for name in sorted(ops.image.__all__):
        functions[f"image.{name}"] = getattr(ops.image, name)
    for name, function in functions.items():
        plain = ", ".join(
            str(p).split(":")[0].split(" =")[0].split("=")[0]
            for p in inspect.signature(function).parameters.values()
        )
        doc = _first_line(function).replace("|", "\\|")
        lines.append(f"| `{name}({plain})` | {doc} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    stale = []
    for path, text in ((STUB, stub()), (RAW, raw_stub()), (TABLE, table())):
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text)
    if stale:
        print(f"not current: {', '.join(stale)}; run python tools/gen_stubs.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
