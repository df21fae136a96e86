# SPDX-License-Identifier: Apache-2.0
"""Write the index of public names, the stubs of packages that load them on first use,
those of fastnn.ops and autodiff.raw, and docs/ops.md, from the modules and the ops.

python tools/gen_stubs.py            write them
python tools/gen_stubs.py --check    exit 1 when they are not current
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import facade_stubs
import keras_compat

import fastnn
from fastnn import _lazy, _registry, applications, ops
from fastnn.opset import all_ops
from fastnn.opset._opdef import REQUIRED

ROOT = Path(__file__).resolve().parent.parent
STUB = ROOT / "fastnn" / "ops" / "__init__.pyi"
RAW = ROOT / "fastnn" / "autodiff" / "raw.pyi"
TABLE = ROOT / "docs" / "ops.md"
INDEX = ROOT / "fastnn" / "_index.py"
NAMESPACES = ("image", "linalg", "nn", "numpy")


def _first_line(function: object) -> str:
    return (inspect.getdoc(function) or "").split("\n")[0]


def homes() -> dict[str, dict[str, str]]:
    """Public module -> name -> the module that defines it, from all of fastnn."""
    for _, name, _ in walk_packages(fastnn.__path__, "fastnn."):
        if name not in ("fastnn.libfastnn", "fastnn.selftest.__main__"):
            import_module(name)
    found = {f"keras.{p}": names for p in _lazy.PACKAGES if (names := _lazy.scan(p))}
    for module in _registry.exported_modules():
        found[module] = _registry.exported_homes(module) | found.get(module, {})
    found["opset"] = {name: op.home for name, op in all_ops().items()}
    return found


def grouped(names: dict[str, str]) -> dict[str, list[str]]:
    """Home -> its names, both sorted."""
    by_home: dict[str, list[str]] = {}
    for name, home in sorted(names.items()):
        by_home.setdefault(home, []).append(name)
    return dict(sorted(by_home.items()))


def index(found: dict[str, dict[str, str]]) -> str:
    """fastnn/_index.py: a line of names for each module that defines some."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        '"""Where public names live: public module -> home in fastnn -> names.',
        "",
        "Written by tools/gen_stubs.py from `__all__` and `@export`; do not edit.",
        '"""',
        "",
        "# fmt: off",
        "NAMES: dict[str, dict[str, str]] = {",
    ]
    for module, names in sorted(found.items()):
        lines.append(f'    "{module}": {{')
        for home, own in grouped(names).items():
            key = f'        "{home.removeprefix("fastnn.")}":'
            text = " ".join(own)
            if len(key) + len(text) < 83:
                lines.append(f'{key} "{text}",')
                continue
            parts = textwrap.wrap(text, 72)
            lines.append(key)
            lines += [f'            "{part} "' for part in parts[:-1]]
            lines.append(f'            "{parts[-1]}",')
        lines.append("    },")
    return "\n".join([*lines, "}"]) + "\n"


def package_stub(package: str, names: dict[str, str]) -> str:
    """What a type checker sees of a package that loads its names on first use."""
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by tools/gen_stubs.py from the modules; do not edit.",
    ]
    imports = []
    for name, home in names.items():
        source = package if home == f"{package}.{name}" else home
        line = f"from {source} import {name} as {name}"
        if len(line) > 88:
            line = f"from {source} import (\n    {name} as {name},\n)"
        # In the order of isort: constants, classes, functions.
        kind = (not name.isupper(), name.islower(), name.lower())
        imports.append((source, kind, line))
    lines += [*(line for *_, line in sorted(imports)), "", "__all__ = ["]
    lines += [f'    "{name}",' for name in sorted(names)]
    return "\n".join([*lines, "]"]) + "\n"


def applications_stub() -> str:
    """Signatures of the functions that build networks."""
    modules = sorted(n for n in applications.__all__ if n.islower())
    lines = [
        "# SPDX-License-Identifier: Apache-2.0",
        "# Written by tools/gen_stubs.py from the functions; do not edit.",
        "# fmt: off",
        "# ruff: noqa: E501, N802",
        "from typing import Any",
        "",
        *(f"from fastnn.applications import {m} as {m}" for m in modules),
        "from fastnn.models import Model",
        "",
    ]
    for name in applications.__all__:
        if name not in modules:
            signature = _stub_signature(getattr(applications, name))
            lines.append(f"def {name}{signature}: ...")
    return "\n".join(lines) + "\n"


def _stub_signature(function: Callable) -> str:
    # Annotations are strings here: their quotes go, those of defaults stay.
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return text.replace("'", '"')


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
        signature = _stub_signature(getattr(ops, name))
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
    found = homes()
    texts = {INDEX: index(found)}
    for package in _lazy.PACKAGES:
        path = ROOT / "fastnn" / package.replace(".", "/") / "__init__.pyi"
        if path.parent.is_dir():
            texts[path] = package_stub(f"fastnn.{package}", found[f"keras.{package}"])
    texts[ROOT / "fastnn" / "applications" / "__init__.pyi"] = applications_stub()
    texts |= facade_stubs.texts() | {STUB: stub(), RAW: raw_stub(), TABLE: table()}
    texts[ROOT / "docs" / "keras_compat.md"] = keras_compat.document()
    for path, text in texts.items():
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    if stale:
        print(f"not current: {', '.join(stale)}; run python tools/gen_stubs.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
