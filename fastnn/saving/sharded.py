# SPDX-License-Identifier: Apache-2.0
"""Weights in several HDF5 files, and a JSON file that lists them, as Keras 3 has them.

The JSON file is written last, and what it names never replaces what an older one names:
at any moment it lists a whole set. Keras opens `m_00000.weights.h5` whatever the list
says, so a set that was written under other names is linked to those, and listed again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from fastnn.errors import ModelFileError, warn_user
from fastnn.saving import atomic, limits
from fastnn.saving.hdf5 import Hdf5Reader
from fastnn.saving.limits import parse_json
from fastnn.saving.opening import beside, open_file, read_file
from fastnn.saving.reader import Reader
from fastnn.saving.variables import Hdf5Group, named_variables, plain_array
from fastnn.saving.windows import Window, new_hdf5

ENDING = ".weights.json"
_GIB = 1 << 30
_DEFAULT = 5.0  # GiB, as in Keras
_MAP = "weight_map"
_NAME = re.compile(r"[^/\\:\0]+\.weights\.h5")
_SHARD = r"_\d{5}(-[0-9a-f]{8})?\.weights\.h5"


# ---- writing -----------------------------------------------------------------------

# One file: (path of an object, its name, {key: array}) of what it holds.
_Part = tuple[str, str | None, dict[str, Any]]


def index_path(path: str) -> str:
    """Where the list goes: Keras puts `.json` in place of another ending."""
    if path.endswith(".json"):
        return path
    changed = os.path.splitext(path)[0] + ".json"
    warn_user(
        f"[save_weights] with max_shard_size the list of the files is written to "
        f"{changed}, not to {path}."
    )
    return changed


def write(model: Any, path: str, max_shard_size: float | None, skip: Any) -> None:
    """Writes weights to files of at most `max_shard_size` GiB beside `path`.

    Raises:
        ValueError: for a variable that is larger, and more than 500 files; nothing has
            been written then.
    """
    most = (_DEFAULT if max_shard_size is None else float(max_shard_size)) * _GIB
    shards, total = _divided(model, most, skip)
    folder, name = os.path.split(os.path.abspath(path))
    base = name.removesuffix(".json").replace(".weights", "")
    plain = [f"{base}_{i:05}.weights.h5" for i in range(len(shards))]
    mark = f"-{os.urandom(4).hex()}"
    taken = any(os.path.lexists(os.path.join(folder, file)) for file in plain)
    files = [_marked(file, mark) for file in plain] if taken else plain
    old = _listed(path)
    try:
        for file, parts in zip(files, shards, strict=True):
            new_hdf5(os.path.join(folder, file), partial(_fill, parts))
        _write_index(path, shards, files, total)
    except BaseException:
        _remove(folder, base, _unlisted(set(files), path))
        raise
    if taken:  # the new set counts; now give it Keras's names, which Keras relies on
        for file, target in zip(files, plain, strict=True):
            _link(os.path.join(folder, file), os.path.join(folder, target))
        _write_index(path, shards, plain, total)
    _remove(folder, base, {*old, *_abandoned(folder, base)} - set(plain))


def _marked(file: str, mark: str) -> str:
    return file.replace(".weights.h5", f"{mark}.weights.h5")


def _write_index(
    path: str, shards: list[list[_Part]], files: list[str], total: int
) -> None:
    files_of: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for file, parts in zip(files, shards, strict=True):
        for place, _, arrays in parts:
            if arrays:
                key = f"/{place}/vars" if place else "/vars"
                files_of.setdefault(key, []).append(file)
                counts[key] = counts.get(key, 0) + len(arrays)
    # As in Keras: a text for one array, a list for more.
    weight_map = {k: v if counts[k] > 1 else v[0] for k, v in files_of.items()}
    text = {"metadata": {"total_size": float(total)}, _MAP: weight_map}
    atomic.write(path, json.dumps(text, indent=4).encode())


def _link(source: str, target: str) -> None:
    """Gives a file a second name, in place of what has it."""
    with atomic.replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # a file system without links
            shutil.copyfile(source, temporary)


def _divided(model: Any, most: float, skip: Any) -> tuple[list[list[_Part]], int]:
    shards: list[list[_Part]] = [[]]
    size, total = 0, 0
    for place, name, values in named_variables(model, skip):
        arrays: dict[str, Any] = {}
        shards[-1].append((place, name, arrays))
        for key, value in values.items():
            count = plain_array(value).nbytes
            if count > most:
                raise ValueError(
                    f"[save_weights] variable {key} of '{place}' has {count} bytes, "
                    f"more than max_shard_size={most / _GIB:g} GiB allows in one file."
                )
            total, size = total + count, size + count
            if size > most:
                arrays, size = {}, count
                shards.append([(place, name, arrays)])
            arrays[key] = value
    if len(shards) > limits.SHARDS:
        raise ValueError(
            f"[save_weights] max_shard_size={most / _GIB:g} would make {len(shards)} "
            f"files, at most {limits.SHARDS} are written."
        )
    return shards, total


def _fill(parts: list[_Part], file: Any) -> None:
    for place, name, arrays in parts:
        group = Hdf5Group.made(file, place, name)
        for key, value in arrays.items():
            group[key] = value


def _listed(path: str) -> list[str]:
    """The files of the list that is there; none where it cannot be read."""
    with suppress(OSError, ModelFileError):
        return _files_of(_index(path), path)
    return []


def _unlisted(files: set[str], path: str) -> set[str]:
    """Those that the list does not name; none where it is there and cannot be read."""
    try:
        return files - set(_files_of(_index(path), path))
    except FileNotFoundError:
        return files
    except ModelFileError:  # no list of ours, which is written whole or not at all
        return files
    except OSError:
        return set()


def _abandoned(folder: str, base: str) -> list[str]:
    """Files that killed saves have left, by a mark that only this module makes."""
    marked = re.compile(re.escape(base) + r"_\d{5}-[0-9a-f]{8}\.weights\.h5")
    with suppress(OSError):
        return [name for name in os.listdir(folder) if marked.fullmatch(name)]
    return []


def _remove(folder: str, base: str, files: set[str]) -> None:
    mine = re.compile(re.escape(base) + _SHARD)
    for file in files:
        if mine.fullmatch(file):
            with suppress(OSError):
                os.unlink(os.path.join(folder, file))


# ---- reading -----------------------------------------------------------------------


def _index(path: str) -> dict[str, Any]:
    found = parse_json(read_file(path, limits.JSON_BYTES), path, "")
    if not isinstance(found, dict) or not isinstance(found.get(_MAP), dict):
        raise ModelFileError(path, f"no list of weights files: it has no {_MAP}.")
    return found


def _files_of(index: dict[str, Any], path: str) -> list[str]:
    """The files that are named, each once; all in the folder of the list."""
    found: dict[str, None] = {}
    for place, names in index[_MAP].items():
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                problem = f"{str(name)[:80]!r} is no name of a weights file beside it."
                raise ModelFileError(path, problem, f"{_MAP}:{place}")
            found[name] = None
    if len(found) > limits.SHARDS:
        raise ModelFileError(path, f"{len(found)} files, at most {limits.SHARDS}.")
    return list(found)


class ShardedReader(Reader):
    """All the files of a list as one.

    Args:
        handle: not used; the list is read by its path, and what it names beside it.
        path: of the list.

    Raises:
        ModelFileError: for names and links that lead out of the folder, files that are
            missing, and arrays that stand in two of them.
    """

    def __init__(self, handle: int, path: str) -> None:
        del handle
        super().__init__(path)
        self._shards: list[Hdf5Reader] = []
        with ExitStack() as stack:
            for name in _files_of(_index(path), path):
                place = beside(path, name)
                if place is None:
                    problem = "it is listed, and a link that leads out of the folder."
                    raise self.fail(problem, name)
                self._shards.append(self._opened(stack, place, name))
            self._open = stack.pop_all()

    def _opened(self, stack: ExitStack, place: str, name: str) -> Hdf5Reader:
        try:
            handle = open_file(place)
        except OSError as error:
            problem = f"it is listed and cannot be opened ({error.strerror})."
            raise self.fail(problem, name) from None
        stack.callback(os.close, handle)
        window = Window(handle, 0, os.fstat(handle).st_size)
        shard = stack.enter_context(Hdf5Reader(window, place))
        shard.whole = self
        twice = self.datasets.keys() & shard.datasets.keys()
        if twice:
            raise self.fail("this array stands in two files.", min(twice))
        self.datasets.update(shard.datasets)
        self.groups.update(shard.groups)
        self.total += shard.total
        self.size += shard.size
        return shard

    def close(self) -> None:
        self._open.close()

    def names(self, path: str) -> list[str]:
        return [name for shard in self._shards for name in shard.names(path)]
