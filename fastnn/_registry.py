# SPDX-License-Identifier: Apache-2.0
"""Tables of the names that configs may use: fastnn's own, the user's, open scopes."""

from __future__ import annotations

from _thread import _local
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from fastnn import _lazy
from fastnn.errors import SerializationError

T = TypeVar("T")

# "keras.losses.MeanSquaredError" -> class, and class -> ("keras.losses", name)
_objects: dict[str, Any] = {}
_names: dict[Any, tuple[str, str]] = {}
_custom_objects: dict[str, Any] = {}
_custom_names: dict[Any, str] = {}


class _Scopes(_local):
    def __init__(self) -> None:
        self.tables: list[Mapping[str, Any]] = []


_scopes = _Scopes()


def export(*modules: str, names: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Makes a class or function of fastnn known to configs under Keras's path.

    Args:
        *modules: public modules, the canonical one first: `"keras.losses"`.
        names: further names of the same object, `("l2",)`.
    """

    def decorator(obj: T) -> T:
        own = obj.__name__  # type: ignore[attr-defined]
        _names[obj] = (modules[0], own)
        for module in modules:
            for name in (own, *names):
                _objects[f"{module}.{name}"] = obj
        return obj

    return decorator


def find(path: str) -> Any:
    """What is exported as `"keras.layers.Dense"`, loaded if need be, or None."""
    if path not in _objects:
        module, _, name = path.rpartition(".")
        _lazy.load(module, name)
    return _objects.get(path)


class _Exports(Mapping[str, Any]):
    """What `exported` returns."""

    def __init__(self, module: str, spellings: Mapping[str, str]) -> None:
        self._module = module
        self._spellings = spellings

    def __getitem__(self, name: str) -> Any:
        found = find(f"{self._module}.{self._spellings.get(name, name)}")
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        for name in list(_lazy.homes(self._module)):
            _lazy.load(self._module, name)
        return iter({**exported_homes(self._module), **self._spellings})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True  # and nothing loaded to count


def exported(
    module: str, spellings: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """What is exported under one public module, by name; loaded when looked up.

    Args:
        module: `"keras.losses"`.
        spellings: further names that configs may use for some of them.
    """
    return _Exports(module, spellings or {})


def exported_homes(module: str) -> dict[str, str]:
    """Names exported so far under one public module, and where they are defined."""
    return {
        path.rpartition(".")[2]: obj.__module__
        for path, obj in _objects.items()
        if path.rpartition(".")[0] == module
    }


def exported_modules() -> set[str]:
    """The public modules under which something is exported so far."""
    return {path.rpartition(".")[0] for path in _objects}


def exported_name(obj: Any) -> tuple[str, str] | None:
    """(public module, name) of one of fastnn's own classes or functions."""
    return None if obj in _custom_names else _names.get(obj)


def exported_names() -> list[str]:
    """All names a config may use without registration."""
    _lazy.load_everywhere()
    return [path.rpartition(".")[2] for path in _objects]


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """Decorator that makes a user's class or function loadable as `package>name`.

    Raises:
        SerializationError: for a class without `get_config`.
    """

    def decorator(obj: T) -> T:
        own = name if name is not None else obj.__name__  # type: ignore[attr-defined]
        if isinstance(obj, type) and not hasattr(obj, "get_config"):
            raise SerializationError(
                f"[register_keras_serializable] class {own} has no get_config() method."
            )
        _custom_objects[f"{package}>{own}"] = obj
        _custom_names[obj] = f"{package}>{own}"
        return obj

    return decorator


def get_registered_name(obj: Any) -> str:
    """`package>name` of a registered class or function, else its Python name."""
    return _custom_names.get(obj) or obj.__name__


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """What `name` stands for: open scopes first, then registered objects, else None."""
    open_tables = reversed(_scopes.tables)
    tables = (*open_tables, _custom_objects, custom_objects or {}, module_objects or {})
    return next((table[name] for table in tables if name in table), None)


def get_custom_objects() -> dict[str, Any]:
    """The process-wide table of custom objects; it may be changed in place."""
    return _custom_objects


class CustomObjectScope:
    """Context in which names of custom classes and functions resolve.

    Args:
        custom_objects: name -> class or function, or None.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        _scopes.tables.append(self.custom_objects)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _scopes.tables.pop()


custom_object_scope = CustomObjectScope


def find_exported(module: str | None, name: str) -> Any:
    """An object of fastnn by Keras's public or internal module, or by name alone."""
    if module and module not in ("builtins", "__main__"):
        # fastnn's own spelling, and Keras's private one, lead to the public module.
        parts = module.split(".")
        if parts[0] not in ("keras", "fastnn", "tf_keras"):
            return None
        public = [part for part in parts[1:] if part != "src"]
        candidates = [".".join(["keras", *public])]
        candidates += [".".join(["keras", *public[:1]]), module]
        found = (find(f"{c}.{name}") for c in candidates)
        return next((obj for obj in found if obj is not None), None)
    _lazy.load_everywhere(name)
    matches = [obj for path, obj in _objects.items() if path.endswith(f".{name}")]
    distinct = [obj for i, obj in enumerate(matches) if obj not in matches[:i]]
    if len(distinct) > 1:
        homes = ", ".join(_names[obj][0] for obj in distinct)
        raise SerializationError(
            f"[deserialize_keras_object] {name!r} exists in {homes}; the config must "
            "name its module."
        )
    return distinct[0] if distinct else None


def suggest(name: str, names: Iterable[str]) -> str:
    """` Did you mean ...?` with the nearest of `names`, or an empty string."""
    if not isinstance(name, str) or len(name) > 64:  # of a file, made to take long
        return ""
    import difflib

    # Case and underscores do not count; the spelling in the case of `name` is shown.
    ordered = sorted(names, key=lambda n: n[:1].islower() == name[:1].islower())
    by_key = {n.lower().replace("_", ""): n for n in ordered}
    key = name.lower().replace("_", "")
    near = [by_key[k] for k in difflib.get_close_matches(key, by_key, 3, 0.5)]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
