# SPDX-License-Identifier: Apache-2.0
"""Weights files looked at and changed by hand, for models that have changed since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastnn.saving.formats import weights_of
from fastnn.saving.keras_files import read_config
from fastnn.saving.limits import reading
from fastnn.saving.reader import Reader
from fastnn.saving.variables import Hdf5Group, flat_variables
from fastnn.saving.windows import new_hdf5

_VARS = "vars"
_Node = dict[str, Any]


class KerasFileEditor:
    """Opens a `.keras` or `.weights.h5` file, changes its weights, saves them anew.

    The objects of the file are nested dicts: `weights_dict["layers"]["dense"]["0"]` is
    the kernel of the first Dense. Keras leaves out objects inside of an object that has
    weights of its own; here they stand beside these.

        editor = keras.saving.KerasFileEditor("model.weights.h5")
        editor.summary()
        editor.delete_object("layers/dense_2")
        editor.add_object("layers/einsum_dense", weights={"0": kernel, "1": bias})
        editor.save("edited.weights.h5")

    Args:
        filepath: of the file.

    Attributes:
        filepath: the same.
        config, metadata: of a `.keras` file, else None.
        weights_dict: name -> array, or a dict of the same kind.
        object_metadata: `/path` of an object -> `{"name": ...}`.

    Raises:
        ValueError: for other endings.
        ModelFileError: for a file that does not keep the loader's contract.
    """

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        path = os.fspath(filepath)
        if not path.endswith((".keras", ".weights.h5")):
            raise ValueError(
                "[KerasFileEditor] the path must end with .keras or .weights.h5, "
                f"received {path!r}."
            )
        self.filepath = path
        self.config: Any = None
        self.metadata: Any = None
        self.model: Any = None
        self.weights_dict: _Node = {}
        self.object_metadata: dict[str, dict[str, str]] = {}
        with reading(path):
            if path.endswith(".keras"):
                self.config, self.metadata = read_config(path)
            with weights_of(path) as reader:
                self._read(reader)
        print(f"Keras model file '{path}'")
        if self.metadata:
            version = self.metadata.get("keras_version")
            date = self.metadata.get("date_saved")
            print(f"Saved with Keras {version} - date: {date}")

    def _read(self, reader: Reader) -> None:
        reader.require_stored()
        for place in sorted(reader.datasets, key=_order):
            *groups, name = place.split("/")
            node = self.weights_dict
            for group in groups:
                if group != _VARS:
                    node = node.setdefault(group, {})
            node[name] = reader.datasets[place].read()
        for place in reader.groups:
            title = reader.attribute(place, "name")
            if isinstance(title, str) and place.rpartition("/")[2] == _VARS:
                owner = place.removesuffix(_VARS).rstrip("/")
                self.object_metadata[f"/{owner}"] = {"name": title}

    # -- looking ---------------------------------------------------------------------

    def summary(self) -> None:
        """Prints the objects of the file with their weights."""
        print("Weights structure")
        for line in self._tree(self.weights_dict, "", "  "):
            print(line)

    def _tree(self, node: _Node, place: str, before: str) -> Iterator[str]:
        for i, (key, value) in enumerate(node.items()):
            last = i == len(node) - 1
            here = f"{place}/{key}"
            line = f"{before}{'└─' if last else '├─'} {key}"
            if isinstance(value, dict):
                name = self.object_metadata.get(here, {}).get("name")
                yield line if name is None else f"{line} ('{name}')"
                yield from self._tree(value, here, before + ("   " if last else "│  "))
            else:
                yield f"{line}: shape={value.shape}, dtype={value.dtype}"

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Prints what differs from the weights of a built model.

        Returns:
            `status` ("success" or "error"), `error_count`, the number of differences,
            and `match_count`, of weights that fit.
        """
        expected: _Node = {}
        for place, array in flat_variables(reference_model)[0].items():
            *groups, name = place.split("/")
            node = expected
            for group in groups:
                if group != _VARS:
                    node = node.setdefault(group, {})
            node[name] = array
        print("Running comparison")
        matches, errors = _compared(self.weights_dict, expected)
        for error in errors:
            print(f"...{error}")
        print("─────────────────────")
        if errors:
            plural = "s" if len(errors) > 1 else ""
            print(
                f"Found {len(errors)} error{plural}: saved file is not compatible with "
                "the reference model"
            )
        else:
            plural = "" if matches == 1 else "s"
            print(
                "Comparison successful: saved file is compatible with the reference "
                f"model\n    Found {matches} matching weight{plural}"
            )
        return {
            "status": "error" if errors else "success",
            "error_count": len(errors),
            "match_count": matches,
        }

    # -- changing --------------------------------------------------------------------

    def _found(self, name: str) -> tuple[_Node, str]:
        """The dict that holds an object, and its name there."""
        *groups, leaf = name.split("/")
        if groups:
            node = self._group(groups, name)
            if leaf not in node:
                raise ValueError(
                    f"[KerasFileEditor] the path '{name}' is not in the file."
                )
            return node, leaf
        holders = list(_holders(self.weights_dict, name))
        if len(holders) > 1:
            raise ValueError(
                f"[KerasFileEditor] the name '{name}' occurs more than once in the "
                "file; give a complete path."
            )
        if not holders:
            raise ValueError(
                f"[KerasFileEditor] the name '{name}' is not in the file; "
                "editor.summary() lists all objects."
            )
        return holders[0], leaf

    def _group(self, groups: list[str], path: str) -> _Node:
        node: Any = self.weights_dict
        for group in groups:
            node = node.get(group)
            if not isinstance(node, dict):
                raise ValueError(
                    f"[KerasFileEditor] the path '{path}' is not in the file."
                )
        return node

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Renames an object.

        Args:
            object_name: its name where that is unique, or its path, `layers/dense_2`.
            new_name: without a path.

        Raises:
            ValueError: when it is not there, or not unique.
        """
        if "/" in new_name:
            raise ValueError(
                f"[rename_object] new_name is a name, no path; received {new_name!r}."
            )
        node, name = self._found(object_name)
        node[new_name] = node.pop(name)

    def delete_object(self, object_name: str) -> None:
        """Removes an object, given by its name or path."""
        node, name = self._found(object_name)
        del node[name]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Adds an object.

        Args:
            object_path: where; its group must exist.
            weights: name of each weight, usually "0", "1", ..., -> array.

        Raises:
            ValueError: when the group is not there, or weights are no dict.
        """
        *groups, leaf = object_path.split("/")
        self._group(groups, "/".join(groups))[leaf] = _arrays(weights)

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Removes one weight of an object."""
        node, name = self._found(object_name)
        if weight_name not in node[name]:
            raise ValueError(
                f"[delete_weight] '{object_name}' has no weight '{weight_name}', but "
                f"{list(node[name])}."
            )
        del node[name][weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Adds weights to an object, or replaces them: name -> array."""
        node, name = self._found(object_name)
        node[name].update(_arrays(weights))

    # -- saving ----------------------------------------------------------------------

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Writes the weights as a `.weights.h5` file, whole or not at all."""
        path = os.fspath(filepath)
        if not path.endswith(".weights.h5"):
            raise ValueError(
                f"[KerasFileEditor] the path must end with .weights.h5, got {path!r}."
            )
        new_hdf5(path, lambda file: self._write(file, self.weights_dict, ""))

    def resave_weights(self, filepath: str | os.PathLike[str]) -> None:
        """The same as `save`."""
        self.save(filepath)

    def _write(self, file: Any, node: _Node, place: str) -> None:
        own = {key: value for key, value in node.items() if not isinstance(value, dict)}
        if own:
            name = self.object_metadata.get(f"/{place}", {}).get("name")
            group = Hdf5Group.made(file, place, name)
            for key, value in own.items():
                group[key] = value
        for key, value in node.items():
            if isinstance(value, dict):
                self._write(file, value, f"{place}/{key}".lstrip("/"))


def _order(place: str) -> list[tuple[bool, int, str]]:
    """By name, but 2 before 10."""
    parts = place.split("/")
    return [(p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]


def _arrays(weights: Any) -> _Node:
    if not isinstance(weights, dict):
        raise ValueError(
            "[KerasFileEditor] weights must be a dict of names (usually '0', '1', ...) "
            f"and arrays, received {type(weights).__name__}."
        )
    return {str(key): np.asarray(value) for key, value in weights.items()}


def _holders(node: _Node, name: str) -> Iterator[_Node]:
    if name in node:
        yield node
    for value in node.values():
        if isinstance(value, dict):
            yield from _holders(value, name)


def _compared(found: _Node, expected: _Node, place: str = "") -> tuple[int, list[str]]:
    """How many weights fit, and a line for each difference."""
    matches, errors = 0, []
    for key in {**expected, **found}:
        here, mine, other = f"{place}/{key}", found.get(key), expected.get(key)
        if mine is None or other is None:
            value = other if mine is None else mine
            kind = "Object" if isinstance(value, dict) else "Weight"
            there, not_there = "reference model", "saved file"
            if other is None:
                there, not_there = not_there, there
            errors.append(f"{kind} {here} present in {there}, missing from {not_there}")
        elif isinstance(mine, dict) and isinstance(other, dict):
            inner = _compared(mine, other, here)
            matches, errors = matches + inner[0], errors + inner[1]
        elif isinstance(mine, dict) or isinstance(other, dict):
            errors.append(f"{here} is an object here and a weight there")
        elif mine.shape != other.shape:
            errors.append(
                f"Weight shape mismatch for {here}: shape={other.shape} in reference "
                f"model, shape={mine.shape} in saved file"
            )
        else:
            matches += 1
    return matches, errors


__all__ = ["KerasFileEditor"]
