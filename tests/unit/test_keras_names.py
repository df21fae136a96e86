# SPDX-License-Identifier: Apache-2.0
"""How much of Keras's API there is: names, arguments, their order, defaults.

keras_signatures.txt is written by tools/record_keras_signatures.py, compared with
fastnn by tools/keras_compat.py, which also writes docs/keras_compat.md. `pytest -rP` on
this file prints the percentages.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from importlib import import_module
from typing import Any

import keras_compat
import pytest

import fastnn
from fastnn import ops
from fastnn._absent import DROPPED, REASONS
from fastnn.ops import _namespaces

# Deliberate differences of names and signatures, each with its reason. None is needed.
DIFFERENT: dict[str, str] = {}
# Modules whose every name and signature must be Keras's.
LOW = (
    *("keras.ops", "keras.ops.image", "keras.ops.linalg", "keras.ops.nn"),
    *("keras.ops.numpy", "keras.random", "keras.tree", "keras.config"),
    "keras.backend",
)

# The modules that every script uses, and why names in them may be absent.
P0 = """keras activations callbacks config constraints initializers layers losses
    metrics models optimizers optimizers.schedules random regularizers saving tree
    utils""".split()
WAITING = re.compile("(preprocessing layers are|quantization is) not built yet")
FOREIGN = re.compile("belongs to another framework")

UNKNOWN = "?"  # newer than the Keras whose signatures were recorded
ROWS = [row for row in keras_compat.recorded() if row[0] in LOW]
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
    assert set(MODULES) == set(LOW)
    assert len([m for m in ROWS if m[0] == "keras.ops"]) == 340


@pytest.fixture(scope="module")
def compared() -> list[keras_compat.Row]:
    return keras_compat.rows()


def test_every_absent_name_has_a_reason(compared) -> None:
    for module, (total, there, equal) in keras_compat.shares(compared).items():
        print(
            f"{module}: {100 * there / total:.1f} % of {total} names, "
            f"{100 * equal / total:.1f} % of signatures"
        )
    without = [row for row in compared if row.text == keras_compat.NOT_YET]
    assert [f"{row.module}.{row.name}" for row in without] == []


def test_p0_modules_are_whole_but_for_named_gaps(compared) -> None:
    p0 = {"keras"} | {f"keras.{name}" for name in P0 if name != "keras"}
    rows = [row for row in compared if row.module in p0]
    assert {row.module for row in rows} == p0
    absent = [row for row in rows if row.state == "absent"]
    for row in absent:
        print(f"{row.module}.{row.name}: {row.text}")
        assert WAITING.match(row.text) or FOREIGN.search(row.text)
    assert [f"{r.module}.{r.name}" for r in rows if r.state == "differs"] == []


def test_every_reason_is_of_something_absent(compared) -> None:
    absent = [f"{row.module}.{row.name}" for row in compared if row.state == "absent"]
    idle = [
        path
        for path in REASONS
        if not any(f"{name}.".startswith(f"{path}.") for name in absent)
    ]
    assert idle == []


@pytest.mark.parametrize(
    ("wanted", "found", "state", "text"),
    [
        ("(a, b=1)", "(a, b=1)", "same", ""),
        ("(a, b=1)", "(a, b=1, *, c=2)", "adds", "adds c"),
        ("(a, b=1)", "(a, b=2)", "differs", "b=2 for 1"),
        ("(a=((0, 0), (0, 0)))", "(a=0)", "same", ""),
        ("(a=(1, 2))", "(a=1)", "differs", "a=1 for (1, 2)"),
        ("(a, b=1)", "(a)", "differs", "lacks b"),
        ("(a, b=1)", "(a, **kwargs)", "differs", "takes as **kwargs b"),
        ("(a, b)", "(b, a)", "differs", "order b, a"),
        ("(a, b=1)", "(a, *, b=1)", "differs", "b is keyword"),
        ("(a, b=1)", "(a=None, b=1)", "adds", "a is optional"),
        ("?", "(a)", "same", ""),
        ("(*args, **kwargs)", "(a)", "same", ""),
    ],
)
def test_signatures_are_compared_by_argument(wanted, found, state, text) -> None:
    assert keras_compat.compare(wanted, found) == (state, text)


def test_the_longest_reason_counts() -> None:
    assert "Orbax" in keras_compat.reason("keras.callbacks", "OrbaxCheckpoint")
    assert keras_compat.reason("keras.callbacks", "Nothing") == keras_compat.NOT_YET


@pytest.mark.parametrize("space", ["linalg", "nn", "numpy"])
def test_namespaces_hold_keras_names_and_no_others(space: str) -> None:
    names = {name for module, name, _ in ROWS if module == f"keras.ops.{space}"}
    module = own(f"keras.ops.{space}")
    for name in names & set(ops.__all__):
        assert getattr(module, name) is getattr(ops, name)
    known = {name for module, name, _ in ROWS if module == "keras.ops"}
    assert _namespaces.members(known)[space] == names


@pytest.mark.parametrize(
    ("module", "name", "said"),
    [
        ("fastnn.layers", "StringLookup", "Keras has: preprocessing.*OneHotEncoder"),
        ("fastnn.keras", "distillation", r"loss in a train_step"),
        ("fastnn", "distribution", r"several machines is not built yet\.$"),
        ("fastnn.callbacks", "OrbaxCheckpoint", "another framework.*ModelCheckpoint"),
        ("fastnn.layers", "Dens", "no attribute 'Dens'$"),
    ],
)
def test_the_error_for_a_name_of_keras_that_is_absent_says_why(module, name, said):
    with pytest.raises(AttributeError, match=said) as caught:
        getattr(import_module(module), name)
    assert caught.value.name == name and caught.value.obj is import_module(module)


def test_so_does_the_error_of_an_import():
    with pytest.raises(
        ModuleNotFoundError, match=r"keras\.distillation'.*train_step"
    ) as caught:
        import_module("fastnn.keras.distillation")
    assert caught.value.name == "fastnn.distillation"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from fastnn.keras.layers import StringLookup", "Keras has: preprocessing"),
        ("from fastnn.keras import distillation", "Keras has: distill.*train_step"),
        ("from fastnn.keras.layers import Conv2DD", r"Did you mean 'Conv2D'\?$"),
        ("from fastnn.keras import layer", r"Did you mean 'layers'\?$"),
        ("from fastnn.keras.utils import np_utils", "3 dropped.*to_categorical"),
        ("from fastnn.keras.utils.np_utils import to_categorical", "3 dropped"),
        ("from fastnn.keras.layers.core import Dense", "names of keras.layers"),
        ("from fastnn.keras.preprocessing.text import Tokenizer", "pad_sequences"),
        (
            "from fastnn.keras.preprocessing.image import ImageDataGenerator",
            "image_dataset_from_directory",
        ),
        ("from fastnn.keras.layers import nothing", "cannot import name 'nothing'"),
    ],
)
def test_so_does_the_error_of_a_name_imported_from_a_package(line, said):
    """Python asks for a module of that name, and hides what `__getattr__` said."""
    with pytest.raises(ImportError, match=said):
        exec(line)


def test_no_name_that_keras_dropped_is_there_or_in_keras():
    names = {f"{module}.{name}" for module, name, _ in keras_compat.recorded()}
    assert not names & DROPPED.keys()
    for path in DROPPED:
        module, _, name = path.replace("keras", "fastnn", 1).rpartition(".")
        assert not hasattr(import_module(module), name)


def test_what_an_error_names_instead_is_there():
    words = {
        word
        for instead in [*(a.instead for a in REASONS.values()), *DROPPED.values()]
        for word in re.findall(r"\b[a-z]+(?:\.\w+)+", instead)
    }
    assert "layers.Rescaling" in words
    for word in words:
        start = {"fastnn": fastnn, "model": fastnn.Model}
        first, *rest = word.split(".")
        found = start[first] if first in start else getattr(fastnn, first)
        for part in rest:
            found = getattr(found, part)
