# SPDX-License-Identifier: Apache-2.0
"""One file with a model's weights and everything else that training goes on from.

To Keras it is a weights file: what is beyond that stands in a group of its own, as JSON
with the arrays beside it. Numbers come back bit by bit.
"""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from fastnn import seeds
from fastnn.autodiff.tensor import Variable
from fastnn.errors import ModelFileError
from fastnn.saving import limits
from fastnn.saving.formats import weights_of
from fastnn.saving.limits import reading
from fastnn.saving.paths import saveables
from fastnn.saving.variables import read_variables, write_variables
from fastnn.saving.windows import new_hdf5

_GROUP = "fastnn"
_VERSION = 1


# ---- plain data with arrays --------------------------------------------------------


def is_plain(value: Any) -> bool:
    """Whether a value comes back from a file as it was."""
    if value is None or type(value) in (bool, int, float, str):
        return True
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biuf"
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    if type(value) is dict:
        return all(type(k) in (bool, int, float, str) for k in value) and all(
            map(is_plain, value.values())
        )
    return False


def encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """JSON's types, with tags for the others; arrays go into the list."""
    if isinstance(value, (np.ndarray, np.generic)):
        arrays.append(np.asarray(value))
        tag = "scalar" if isinstance(value, np.generic) else "array"
        return {tag: len(arrays) - 1}
    if isinstance(value, tuple):
        return {"tuple": [encode(item, arrays) for item in value]}
    if isinstance(value, list):
        return [encode(item, arrays) for item in value]
    if isinstance(value, dict):
        return {"dict": [[k, encode(v, arrays)] for k, v in value.items()]}
    return value


def decode(value: Any, arrays: Any) -> Any:
    """What `encode` wrote."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    (tag, inner), *_ = value.items()
    if tag == "tuple":
        return tuple(decode(item, arrays) for item in inner)
    if tag == "dict":
        return {key: decode(item, arrays) for key, item in inner}
    array = arrays(inner)
    return array[()] if tag == "scalar" else array


# ---- random numbers ----------------------------------------------------------------


def random_state() -> dict[str, Any]:
    """Where the streams of fastnn, Python and NumPy are."""
    return {
        "fastnn": seeds.get_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Continues the streams where they were."""
    seeds.set_state(state["fastnn"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])


# ---- the model's own, beyond its weights -------------------------------------------


def _hidden_variables(model: Any) -> list[Any]:
    """Seeds, metrics and what optimizers hide, which weights files do not hold."""
    found = [*model._seed_states()]
    found += [v for metric in model.metrics for v in metric.variables]
    for optimizer in _optimizers(model).values():
        saved = {id(v) for v in optimizer.variables}
        own = vars(optimizer).values()
        found += [v for v in own if isinstance(v, Variable) and id(v) not in saved]
    return list({id(v): v for v in found}.values())


def _optimizers(model: Any) -> dict[str, Any]:
    found = saveables(model).items()
    return {path: x for path, x in found if hasattr(x, "apply_gradients")}


def _slots(model: Any) -> dict[str, list[int]]:
    """Which weights the optimizers were built for, as numbers in `model.weights`."""
    place = {id(w): i for i, w in enumerate(model.weights)}
    return {
        path: [place[id(v)] for v in optimizer._trainable_variables]
        for path, optimizer in _optimizers(model).items()
        if optimizer.built
    }


def write_backup(path: str, model: Any, state: dict[str, Any]) -> None:
    """Writes the model's variables and a state of plain data, in place of the file."""
    hidden = [variable.numpy() for variable in _hidden_variables(model)]
    arrays: list[np.ndarray] = []
    whole = {
        "version": _VERSION,
        "state": state,
        "hidden": hidden,
        "slots": _slots(model),
        "random": random_state(),
    }
    text = json.dumps(encode(whole, arrays)).encode()

    def fill(file: Any) -> None:
        write_variables(model, file)
        group = file.create_group(_GROUP)
        group.create_dataset("json", data=np.frombuffer(text, np.uint8))
        for i, array in enumerate(arrays):
            group.create_dataset(str(i), data=array)

    new_hdf5(path, fill)


class Backup:
    """What a backup holds, read once.

    Attributes:
        state: the plain data given to `write_backup`; None for a weights file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with reading(path), weights_of(path) as reader:
            stored = reader.datasets.get(f"{_GROUP}/json")
            self._whole = None
            if stored is not None:
                text = stored.read().tobytes()
                data = limits.parse_json(text, path, f"{_GROUP}/json", reader.size)

                def array(i: int) -> np.ndarray:
                    return reader.datasets[f"{_GROUP}/{int(i)}"].read()

                self._whole = decode(data, array)
            if self._whole is not None and self._whole["version"] != _VERSION:
                version = self._whole["version"]
                raise ModelFileError(
                    path, f"a backup of version {version}, not {_VERSION}."
                )
            self.state = None if self._whole is None else self._whole["state"]

    def restore(self, model: Any) -> None:
        """Gives the model weights, optimizers, seeds, metrics and random streams."""
        with reading(self.path):
            self._restore(model)

    def _restore(self, model: Any) -> None:
        whole = self._whole
        if whole is not None:
            weights = model.weights
            for place, optimizer in _optimizers(model).items():
                slots = whole["slots"].get(place, [])
                fits = all(i < len(weights) for i in slots)
                if slots and fits and not optimizer.built:
                    optimizer.build([weights[i] for i in slots])
        with weights_of(self.path) as reader:
            read_variables(model, reader)
        if whole is None:
            return
        variables = _hidden_variables(model)
        values = whole["hidden"]
        if [v.numpy().shape for v in variables] != [v.shape for v in values]:
            raise ModelFileError(
                self.path, "the model has other metrics or seeds than the backup."
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        set_random_state(whole["random"])
