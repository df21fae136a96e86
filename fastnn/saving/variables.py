# SPDX-License-Identifier: Apache-2.0
"""Variables of a model to and from files, in the layout of Keras 3."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import cached_property
from typing import Any

import numpy as np

from fastnn.errors import ModelFileError, warn_user
from fastnn.saving.paths import saveables
from fastnn.saving.reader import Reader, Stored
from fastnn.saving.windows import put_array

_SHOWN = 20


# ---- writing -----------------------------------------------------------------------


def plain_array(value: Any) -> np.ndarray:
    """The numbers of a variable, tensor or array; no copy, to be read at once."""
    concrete = getattr(value, "_concrete", None)
    if concrete is not None:
        return concrete("save")
    return np.asarray(value)


class Hdf5Group(MutableMapping[str, Any]):
    """The group of one object's variables, as `save_own_variables` fills it."""

    def __init__(self, group: Any) -> None:
        self._group = group

    @classmethod
    def made(cls, file: Any, path: str, name: str | None) -> Hdf5Group:
        """A new group for the variables of the object at a path."""
        group = file.create_group(f"{path}/vars" if path else "vars")
        if name is not None:
            group.attrs["name"] = name
        return cls(group)

    def __setitem__(self, key: str, value: Any) -> None:
        array = plain_array(value)
        put_array(self._group, key, array)
        if array.dtype.name == "bfloat16":
            self._group[key].attrs["dtype"] = "bfloat16"

    def __getitem__(self, key: str) -> Any:
        return self._group[key][()]

    def __delitem__(self, key: str) -> None:
        del self._group[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def __len__(self) -> int:
        return len(self._group)


def _saved(root: Any, skip: Any) -> Iterator[tuple[str, str | None, Any]]:
    """(path, name, object) of what is written."""
    skipped = {id(obj) for obj in skip}
    for path, obj in saveables(root).items():
        if id(obj) not in skipped:
            name = getattr(obj, "name", None)
            yield path, name if isinstance(name, str) else None, obj


def write_variables(root: Any, file: Any, skip: Any = ()) -> None:
    """Writes the variables of `root` and all below it.

    Args:
        root: a model or layer.
        file: an open h5py.File.
        skip: objects to leave out.
    """
    for path, name, obj in _saved(root, skip):
        obj.save_own_variables(Hdf5Group.made(file, path, name))


def named_variables(
    root: Any, skip: Any = ()
) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """(path, name, {key: variable or array}) of `root` and all below it."""
    for path, name, obj in _saved(root, skip):
        store: dict[str, Any] = {}
        obj.save_own_variables(store)
        yield path, name, store


def flat_variables(
    root: Any, skip: Any = ()
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The same as one mapping, with the names that HDF5 would give its datasets.

    Returns:
        (path -> array, path of an object's variables -> name of the object).
    """
    arrays: dict[str, np.ndarray] = {}
    names: dict[str, str] = {}
    for path, name, values in named_variables(root, skip):
        place = f"{path}/vars" if path else "vars"
        if name is not None and values:
            names[f"{place}/name"] = name
        arrays |= {f"{place}/{key}": plain_array(x) for key, x in values.items()}
    return arrays, names


def size_of(root: Any) -> int:
    """About how many bytes `write_variables` writes."""
    total = 1 << 16
    for obj in saveables(root).values():
        own: list[Any] = getattr(obj, "_saved_variables", list)()
        total += 4096 + sum(2048 + plain_array(v).nbytes for v in own)
    return total


# ---- reading -----------------------------------------------------------------------


class Store(MutableMapping[str, Any]):
    """The variables of one object in a file, for `load_own_variables`."""

    def __init__(self, reader: Reader, path: str | None) -> None:
        self._reader = reader
        self.path = path
        self._names = [] if path is None else reader.names(path)

    def stored(self, key: str) -> Stored:
        """What the file says of a variable."""
        if key not in self._names:
            raise KeyError(key)
        return self._reader.datasets[f"{self.path}/{key}"]

    def assign(self, key: str, variable: Any) -> None:
        """Gives a variable its value, read to where it stays."""
        self.stored(key).load_into(variable)

    def __getitem__(self, key: str) -> np.ndarray:
        return self.stored(key).read()

    def __setitem__(self, key: str, value: Any) -> None:
        raise TypeError("[load_own_variables] the file is only read.")

    def __delitem__(self, key: str) -> None:
        self.__setitem__(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class StoredList(Store):
    """Variables that a file lists in their order, under whatever names."""

    def __init__(self, reader: Reader, listed: list[Stored]) -> None:
        super().__init__(reader, None)
        self._listed = {str(i): stored for i, stored in enumerate(listed)}
        self._names = list(self._listed)

    def stored(self, key: str) -> Stored:
        return self._listed[key]


class _Places:
    """Where a file has the variables of objects; older ones have them elsewhere."""

    def __init__(self, root: Any, reader: Reader) -> None:
        self._root = root
        self._reader = reader

    @cached_property
    def _older(self) -> dict[int, str]:
        return {id(obj): path for path, obj in saveables(self._root, False).items()}

    def store(self, obj: Any, path: str) -> Store:
        """What the file has of an object."""
        place = self._place(path)
        if place is None:
            place = self._place(self._older.get(id(obj), path))
        return Store(self._reader, place)

    def _place(self, path: str) -> str | None:
        for candidate in _spellings(path):
            place = f"{candidate}/vars" if candidate else "vars"
            if place in self._reader.groups:
                return place
        return None


def _spellings(path: str) -> Iterator[str]:
    """The path, and what earlier versions of Keras wrote in its place."""
    yield path
    head, _, last = path.rpartition("/")
    if last.endswith("_dense"):  # of attention layers, before 3.4
        yield f"{head}/_{last}".lstrip("/")
    if path.startswith("layers/"):  # 2.13
        yield path.replace("layers", "_layer_checkpoint_dependencies")


class Problems:
    """Objects that could not be loaded, and why."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def note(self, path: str, obj: Any, problem: str) -> None:
        """One more."""
        name = getattr(obj, "name", type(obj).__name__)
        kind = type(obj).__name__
        self.found.append((path, f"{kind} '{name}' ({path or '/'}): {problem}"))

    def report(self, reader: Reader, only_warn: bool) -> None:
        """Raises, or warns of, all of them at once."""
        if not self.found:
            return
        lines = [text for _, text in self.found[:_SHOWN]]
        if len(self.found) > _SHOWN:
            lines.append(f"and {len(self.found) - _SHOWN} more.")
        text = "\n  ".join([f"{len(self.found)} objects could not be loaded:", *lines])
        if only_warn:
            warn_user(f"[load_weights] {reader.path}: {text}")
            return
        error = ModelFileError(reader.path, text, reader.where)
        error.failures = self.found
        raise error


def read_variables(
    root: Any, reader: Reader, skip_mismatch: bool = False, skip: Any = ()
) -> None:
    """Loads the variables of `root` and all below it.

    Shapes are compared for all of them before the first is changed.

    Args:
        root: a built model or layer.
        reader: the file.
        skip_mismatch: warn of objects that do not fit, and load the others.
        skip: objects to leave out.

    Raises:
        ModelFileError: listing every object that does not fit.
    """
    problems = Problems()
    skipped = {id(obj) for obj in skip}
    planned: list[tuple[str, Any, Store]] = []
    places = _Places(root, reader)
    for path, obj in saveables(root).items():
        if id(obj) in skipped:
            continue
        store = places.store(obj, path)
        problem = _compare(obj, store)
        if problem:
            problems.note(path, obj, problem)
        else:
            planned.append((path, obj, store))
    if not skip_mismatch:
        problems.report(reader, False)
    for path, obj, store in planned:
        try:
            obj.load_own_variables(store)
        except Exception as error:
            problems.note(path, obj, f"{type(error).__name__}: {error}")
    problems.report(reader, skip_mismatch)


def _compare(obj: Any, store: Store) -> str:
    """Why the variables of an object and of the file do not fit; empty if they do."""
    expected = getattr(obj, "_expected_variables", None)
    if expected is None:
        return ""  # it reads its variables itself
    variables = expected(store)
    if variables is None:
        return ""
    return compare([store.stored(key) for key in _ordered(store)], variables, obj)


def _ordered(store: Store) -> list[str]:
    return sorted(store, key=lambda key: (not key.isdecimal(), len(key), key))


def compare(stored: list[Stored], variables: list[Any], obj: Any) -> str:
    """Why datasets cannot be the values of variables; empty if they can."""
    if len(stored) != len(variables):
        built = "" if getattr(obj, "built", True) else ", which is not built"
        names = ", ".join(v.name for v in variables)
        return (
            f"the file has {len(stored)} variables, the object{built} "
            f"{len(variables)}{f' ({names})' if names else ''}."
        )
    for one, variable in zip(stored, variables, strict=True):
        shape = tuple(variable.shape)
        if one.problem:
            return f"{one.path}: {one.problem}"
        if one.shape != shape:
            return (
                f"{variable.name} has shape {shape}, the file has {one.shape} "
                f"({one.path})."
            )
        if not fits(one.dtype, np.dtype(variable.dtype)):
            return (
                f"{variable.name} has dtype {variable.dtype}, the file has {one.dtype} "
                f"({one.path})."
            )
    return ""


def fits(given: Any, wanted: np.dtype) -> bool:
    """Floats fit into floats, whole numbers into whole numbers."""
    return (given.kind in "fV") == (wanted.kind in "fV") and (
        (given.kind == "b") == (wanted.kind == "b")
    )
