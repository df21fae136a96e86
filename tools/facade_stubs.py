# SPDX-License-Identifier: Apache-2.0
"""Stubs of fastnn, its datasets and its facades, which find their names when asked.

tools/gen_stubs.py writes them, from the tables of these modules, so that a type checker
knows `keras.layers.Dense` and an editor completes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import keras_compat

import fastnn
from fastnn import datasets, keras, tf

ROOT = Path(__file__).resolve().parent.parent / "fastnn"
VERSION = "__version__: str"
HEAD = [
    "# SPDX-License-Identifier: Apache-2.0",
    "# Written by tools/gen_stubs.py; do not edit.",
]


def texts() -> dict[Path, str]:
    """Path -> text of every stub of a facade."""
    modules = {name: f"fastnn.{name}" for name in fastnn._MODULES}
    functions = dict.fromkeys(tf.FUNCTIONS, "fastnn.ops")
    renamed = {k: v for k, v in tf.FUNCTIONS.items() if k != v}
    own = [VERSION, "", "def version() -> str: ..."]
    dtypes = [f"{name}: str" for name in sorted(tf._DTYPES)]
    return {
        ROOT / "__init__.pyi": _facade(modules, fastnn._NAMES, own=own),
        ROOT / "keras" / "__init__.pyi": _facade(keras._MODULES, keras._NAMES, own=own),
        ROOT / "tf.pyi": _facade(
            tf._MODULES,
            tf._NAMES | functions,
            renamed,
            [VERSION, "newaxis: None", *dtypes],
        ),
        ROOT / "datasets" / "__init__.pyi": _facade(
            {m: f"fastnn.datasets.{m}" for m in datasets._MODULES}, datasets._NAMES
        ),
        **_aliases(),
    }


def _facade(
    modules: dict[str, str],
    names: dict[str, str],
    renamed: dict[str, str] | None = None,
    own: Sequence[str] = (),
) -> str:
    """A module that shows modules and names of others, and has some of its `own`."""
    imports = []
    for name, home in {**modules, **names}.items():
        parent, _, last = home.rpartition(".")
        source, there = (parent, last) if name in modules else (home, name)
        there = (renamed or {}).get(name, there)
        if home != "fastnn":
            # In the order of isort: constants, classes, functions.
            kind = (not there.isupper(), there.islower(), there.lower())
            imports.append((source, kind, _line(source, there, name)))
    declared = {line.split("(")[0].split(":")[0].split()[-1] for line in own if line}
    shown = sorted({*modules, *names, *declared})
    lines = [*HEAD, *(line for *_, line in sorted(imports)), ""]
    lines += ["__all__ = [", *(f'    "{name}",' for name in shown), "]"]
    return "\n".join([*lines, *([""] if own else []), *own]) + "\n"


def _line(source: str, own: str, name: str) -> str:
    line = f"from {source} import {own} as {name}"
    return line if len(line) <= 88 else f"{line}  # noqa: E501"


def _aliases() -> dict[Path, str]:
    """`fastnn.keras.layers`, `fastnn.keras.optimizers.schedules`, ..."""
    found = {}
    recorded = {module for module, *_ in keras_compat.recorded()}
    inner = {m.removeprefix("keras.") for m in recorded if m.count(".") == 2}
    for name, home in keras._MODULES.items():
        own = [m.split(".")[1] for m in sorted(inner) if m.split(".")[0] == name]
        own = [m for m in own if _module(f"{home}.{m}")]
        lines = [f"from {home} import *  # noqa: F403"]
        lines += [_line(home, m, m) for m in own]
        path = ROOT / "keras" / (f"{name}/__init__.pyi" if own else f"{name}.pyi")
        found[path] = "\n".join([*HEAD, *lines]) + "\n"
        for m in own:
            text = f"from {home}.{m} import *  # noqa: F403"
            found[ROOT / "keras" / name / f"{m}.pyi"] = "\n".join([*HEAD, text]) + "\n"
    return found


def _module(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None
