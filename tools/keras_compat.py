# SPDX-License-Identifier: Apache-2.0
"""docs/keras_compat.md: every public name of Keras 3, and what fastnn makes of it.

tools/gen_stubs.py writes the file. Keras's names and signatures are in
tests/unit/keras_signatures.txt, which tools/record_keras_signatures.py records;
fastnn's are asked for here. Why a name is absent, fastnn/_absent.py says.
"""

from __future__ import annotations

import ast
import inspect
import re
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fastnn._absent import absent

ROOT = Path(__file__).resolve().parents[1]
# What no signature shows.
DIFFERENCES = ROOT / "tools/keras_differences.md"
UNKNOWN = "?"

NOT_YET = "not yet"


class Row(NamedTuple):
    """A name of Keras, what became of it, and in what it differs."""

    module: str
    name: str
    state: str  # same, adds, differs, absent
    text: str


def recorded() -> list[tuple[str, str, str]]:
    """(module, name, signature) of every name in every module that exports it."""
    text = (ROOT / "tests/unit/keras_signatures.txt").read_text(encoding="utf-8")
    lines = (line.split(" ", 2) for line in text.splitlines())
    return [(m, name, s) for modules, name, s in lines for m in modules.split("+")]


def _parameters(signature: str) -> dict[str, tuple[str, str | None]] | None:
    """Name -> (kind, default as text); None where Python cannot read it."""
    try:
        arguments = ast.parse(f"def f{signature.split(' -> ')[0]}: pass").body[0].args
    except SyntaxError:
        return None
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    found = {
        a.arg: ("plain", None if d is None else ast.unparse(d))
        for a, d in zip(plain, defaults, strict=True)
    }
    if arguments.vararg:
        found[arguments.vararg.arg] = ("*", None)
    for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[a.arg] = ("keyword", None if d is None else ast.unparse(d))
    if arguments.kwarg:
        found["**"] = ("**", None)
    return found


def own_signature(value: Any) -> str:
    """As `inspect` writes it, without annotations; "?" where it has none."""
    try:
        given = inspect.signature(value)
        if inspect.isclass(value) and _depth(value, "__init__") < _depth(
            value, "__new__"
        ):
            # Python before 3.11.4 shows a base's __new__ all the same.
            _, *taken = inspect.signature(value.__init__).parameters.values()
            given = given.replace(parameters=taken)
    except (TypeError, ValueError):
        return UNKNOWN
    plain = [
        p.replace(annotation=p.empty, default=_Text.of(p.default))
        for p in given.parameters.values()
    ]
    return str(given.replace(parameters=plain, return_annotation=given.empty))


def _depth(cls: type, method: str) -> int:
    """How far up the class that defines a method stands."""
    return next(i for i, base in enumerate(cls.__mro__) if method in vars(base))


class _Text:
    """A default that is written as Keras's record writes it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    @staticmethod
    def of(value: Any) -> Any:
        named = inspect.isfunction(value) or inspect.isclass(value)
        if named and value is not inspect.Parameter.empty:
            return _Text(value.__name__)
        return value


def compare(wanted: str, found: str) -> tuple[str, str]:
    """(state, in words) of fastnn's signature beside Keras's."""
    # Keras hides the arguments of classes whose __new__ takes anything.
    if {wanted, found} & {UNKNOWN, "(*args, **kwargs)"} or wanted == found:
        return "same", ""
    keras, own = _parameters(wanted), _parameters(found)
    if keras is None or own is None:
        return "differs", f"`{found}` for `{wanted}`"
    missing = [n for n in keras if n not in own and n != "**"]
    extra = [n for n in own if n not in keras and n != "**"]
    optional = [n for n in keras if n in own and keras[n][1] is None is not own[n][1]]
    notes = []
    if missing:
        how = "takes as **kwargs" if "**" in own else "lacks"
        notes.append(f"{how} {', '.join(missing)}")
    for name in keras.keys() & own.keys():
        if keras[name] != own[name] and name != "**":
            (kind, value), (own_kind, own_value) = keras[name], own[name]
            same = value == own_value or _spreads(value, own_value)
            if not same and name not in optional:
                notes.append(f"{name}={own_value} for {value}")
            if kind != own_kind:
                notes.append(f"{name} is {own_kind}")
    shared = [n for n in keras if n in own], [n for n in own if n in keras]
    if shared[0] != shared[1]:
        notes.append(f"order {', '.join(shared[1])}")
    state = "differs" if notes else "adds" if extra or optional else "same"
    notes += [f"{name} is optional" for name in optional if name != "**"]
    if extra:
        notes.append(f"adds {', '.join(extra)}")
    return state, "; ".join(sorted(notes))


def _spreads(value: str | None, own: str | None) -> bool:
    """Whether Keras's default is a tuple of what is fastnn's: (1, 1) for 1."""
    if value is None or own is None or not value.startswith("("):
        return False
    return set(re.findall(r"[^(), ]+", value)) == {own}


def reason(module: str, name: str) -> str:
    """Why a name is absent."""
    known = absent(f"{module}.{name}")
    return known.why if known else NOT_YET


def _find(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module.replace("keras", "fastnn", 1)), name)
    except (ImportError, AttributeError):
        pass
    try:
        return getattr(import_module(f"fastnn.{module}"), name)
    except (ImportError, AttributeError):
        return None


def rows() -> list[Row]:
    """One per name of Keras and module that has it."""
    found = []
    for module, name, wanted in recorded():
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            value = _find(module, name)  # an old spelling warns
        if value is None:
            found.append(Row(module, name, "absent", reason(module, name)))
        else:
            found.append(Row(module, name, *compare(wanted, own_signature(value))))
    return sorted(found)


def shares(found: list[Row]) -> dict[str, tuple[int, int, int]]:
    """Module -> names of Keras, those that are there, those with its signature."""
    total, there, equal = Counter[str](), Counter[str](), Counter[str]()
    for row in found:
        total[row.module] += 1
        there[row.module] += row.state != "absent"
        equal[row.module] += row.state in ("same", "adds")
    return {module: (total[module], there[module], equal[module]) for module in total}


def document() -> str:
    """The text of docs/keras_compat.md."""
    found = rows()
    lines = [
        "# Keras 3.15's public names in fastnn",
        "",
        "Written by tools/gen_stubs.py, with tools/keras_differences.md; do not edit.",
        "A signature is Keras's when every argument has its name, place and default;",
        "fastnn may add some.",
        "",
        "| module | names | there | with Keras's signature |",
        "|---|---|---|---|",
    ]
    counts = shares(found)
    for module, (total, there, equal) in counts.items():
        lines.append(
            f"| {module} | {total} | {there} ({100 * there / total:.0f} %) "
            f"| {equal} ({100 * equal / total:.0f} %) |"
        )
    lines += ["", DIFFERENCES.read_text(encoding="utf-8").rstrip()]
    for module in counts:
        own = [row for row in found if row.module == module]
        lines += ["", f"## {module}", ""]
        same = [row.name for row in own if row.state == "same"]
        if same:
            lines += [f"Same: {', '.join(same)}.", ""]
        other = [row for row in own if row.state != "same"]
        if other:
            lines += ["| name | state | in what, or why |", "|---|---|---|"]
            lines += [f"| {r.name} | {r.state} | {r.text} |" for r in other]
    return "\n".join(lines).rstrip() + "\n"
