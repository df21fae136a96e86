# SPDX-License-Identifier: Apache-2.0
"""How much of Keras's low-level API there is: names, arguments, their order, defaults.

keras_signatures.txt is written by tools/record_keras_signatures.py. `pytest -rP` on
this file prints the percentages.
"""

from __future__ import annotations

import inspect
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fastnn import ops
from fastnn.ops import _namespaces

# Deliberate differences of names and signatures, each with its reason. None is needed.
DIFFERENT: dict[str, str] = {}

UNKNOWN = "?"  # newer than the Keras whose signatures were recorded


def recorded() -> list[tuple[str, str, str]]:
    """(module, name, signature) of every name in every module that exports it."""
    text = (Path(__file__).parent / "keras_signatures.txt").read_text()
    lines = (line.split(" ", 2) for line in text.splitlines())
    return [(m, name, s) for mods, name, s in lines for m in mods.split("+")]


ROWS = recorded()
MODULES = list(dict.fromkeys(module for module, _, _ in ROWS))


def own(module: str) -> Any:
    return import_module(module.replace("keras", "fastnn", 1))


def signature(function: Any) -> str:
    """As `inspect` writes it, without annotations."""
    given = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in given.parameters.values()]
    return str(given.replace(parameters=plain, return_annotation=given.empty))


def state(module: str, name: str, wanted: str) -> str:
    function = getattr(own(module), name, None)
    if function is None:
        return "missing"
    if wanted in (UNKNOWN, signature(function)):
        return "equal"
    return f"{signature(function)} for {wanted}"


def test_names_and_signatures_are_keras() -> None:
    wrong, total, equal = {}, Counter[str](), Counter[str]()
    for module, name, wanted in ROWS:
        found = state(module, name, wanted)
        total[module] += 1
        equal[module] += found == "equal"
        if found != "equal":
            wrong[f"{module}.{name}"] = found
    for module in MODULES:
        share = 100 * equal[module] / total[module]
        print(f"{module}: {equal[module]} of {total[module]} names, {share:.1f} %")
    print(f"all: {100 * equal.total() / total.total():.1f} %")
    assert wrong == DIFFERENT


def test_the_record_has_all_modules() -> None:
    assert set(MODULES) == {
        *("keras.ops", "keras.ops.image", "keras.ops.linalg", "keras.ops.nn"),
        *("keras.ops.numpy", "keras.random", "keras.tree", "keras.config"),
        "keras.backend",
    }
    assert len([m for m in ROWS if m[0] == "keras.ops"]) == 340


@pytest.mark.parametrize("space", ["linalg", "nn", "numpy"])
def test_namespaces_hold_keras_names_and_no_others(space: str) -> None:
    names = {name for module, name, _ in ROWS if module == f"keras.ops.{space}"}
    module = own(f"keras.ops.{space}")
    for name in names & set(ops.__all__):
        assert getattr(module, name) is getattr(ops, name)
    known = {name for module, name, _ in ROWS if module == "keras.ops"}
    assert _namespaces.members(known)[space] == names
