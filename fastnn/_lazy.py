# SPDX-License-Identifier: Apache-2.0
"""Packages whose names are loaded on first use, and where each name lives.

A name is described where it is defined: by `__all__` of its module, or `@export` with
the Keras module it belongs to. `fastnn/_index.py` lists the homes of all names, so that
one can be found without loading the others; tools/gen_stubs.py writes it. A name that
is not listed yet is found by loading its whole package, so a stale index only costs
time.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from types import ModuleType
from typing import Any

from fastnn._garbage import Uncollected
from fastnn._index import NAMES

# Packages with submodules whose names are theirs; utils.fastnn is keras.utils, ...
PACKAGES = (
    "callbacks",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "ops.image",
    "ops.linalg",
    "ops.nn",
    "ops.numpy",
    "optimizers",
    "optimizers.schedules",
    "saving",
    "utils",
)

_homes: dict[str, dict[str, str]] = {}
_importing: dict[int, int] = {}  # thread -> how deep it is in `load_module`


def homes(module: str) -> dict[str, str]:
    """Names of a public module, `"keras.layers"`, and the modules that define them."""
    if module not in _homes:
        _homes[module] = {
            name: f"fastnn.{home}"
            for home, names in NAMES.get(module, {}).items()
            for name in names.split()
        }
    return _homes[module]


def load_module(name: str) -> ModuleType:
    """Imports a module, with all that it imports."""
    # Most calls find what is there; the garbage collector, which is asked below, walks
    # over all that a program has frozen: 4 ms each time.
    there = sys.modules.get(name)
    if there is not None and not getattr(there.__spec__, "_initializing", False):
        return there
    me = get_ident()
    outer = _importing.get(me, 0)
    _importing[me] = outer + 1
    try:
        with Uncollected(stays=True):
            return import_module(name)
    finally:
        _importing[me] = outer
        if not outer:
            del _importing[me]


def _await_imports() -> None:
    """Before a fork: a module that another thread is importing would stay locked in the
    child, whose first use of it would wait for ever.
    """
    _own.append((get_ident(), _importing.pop(get_ident(), 0)))
    end = time.monotonic() + 5
    # The test is a jump without a call: no other thread comes between it and the fork.
    while _importing:
        if time.monotonic() > end:
            break
        time.sleep(1e-4)


def _after_fork(child: bool) -> None:
    if child:
        _importing.clear()
    me, depth = _own.pop()
    if depth:
        _importing[me] = depth


_own: list[tuple[int, int]] = []  # what the thread that forks is importing itself
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_await_imports,
        after_in_parent=partial(_after_fork, False),
        after_in_child=partial(_after_fork, True),
    )


def load(module: str, name: str) -> None:
    """Imports what defines `name` of a public module, if the index knows it."""
    home = homes(module).get(name)
    if home is not None:
        load_module(home)


def load_everywhere(name: str | None = None) -> None:
    """The same in every public module; all that they define for None."""
    if name is None:
        _load_all()
    else:
        for module in NAMES:
            load(module, name)


@cache
def _load_all() -> None:
    for module in NAMES:
        for known in list(homes(module)):
            load(module, known)


def submodules(package: str) -> list[ModuleType]:
    """The public modules of a package of fastnn, imported."""
    import pkgutil

    root = import_module(f"fastnn.{package}")
    names = [info.name for info in pkgutil.iter_modules(getattr(root, "__path__", ()))]
    public = [name for name in names if not name.startswith("_")]
    return [import_module(f"{root.__name__}.{name}") for name in public]


def scan(package: str) -> dict[str, str]:
    """`homes` of a package, read from its modules, all of which are imported."""
    from fastnn._registry import exported_homes

    found = {}
    for module in submodules(package):
        home = module.__name__
        if home.removeprefix("fastnn.") in PACKAGES:
            found[home.rpartition(".")[2]] = home
        else:
            found |= dict.fromkeys(getattr(module, "__all__", ()), home)
    found |= exported_homes(f"keras.{package}")
    homes(f"keras.{package}").update(found)
    vars(sys.modules[f"fastnn.{package}"])["__all__"] = public(package)
    return found


def public(package: str) -> list[str]:
    """`__all__` of a package: its names, but not its modules."""
    known = homes(f"keras.{package}").items()
    return sorted(n for n, home in known if home != f"fastnn.{package}.{n}")


def attach(
    package: str, dress: Callable[[Any, str], Any] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package of `PACKAGES`.

    `dress(value, package)` is what the package shows in place of a value.
    """
    short = package.removeprefix("fastnn.")
    known = homes(f"keras.{short}")
    space = vars(sys.modules[package])

    def __getattr__(name: str) -> Any:  # noqa: N807
        home = None if name.startswith("_") else known.get(name) or _missing(name)
        if home is None:
            from fastnn._absent import not_there

            raise not_there(package, name)
        module = load_module(home)
        value = module if home == f"{package}.{name}" else getattr(module, name)
        space[name] = value if dress is None else dress(value, package)
        return space[name]

    def _missing(name: str) -> str | None:
        home = f"{package}.{name}"
        try:
            import_module(home)
        except ImportError as error:
            if error.name != home:
                raise
            return scan(short).get(name)
        return home

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*space, *known})

    return __getattr__, __dir__, public(short)


class _Hints:
    """The last finder: `from fastnn.layers import Hashing` says why there is none.

    Python asks for a module where a package lacks a name, and hides what the package
    said of it.
    """

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> None:
        if name.startswith("fastnn."):
            from fastnn._absent import hint

            hint(name)


sys.meta_path.append(_Hints)
