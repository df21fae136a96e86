# SPDX-License-Identifier: Apache-2.0
"""Kinds of files that hold a model's state: how each is written, and read back.

A new format is a row here; tests of kills, of broken disks and of damage go over all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from fastnn.models import load_model
from fastnn.saving.training_state import Backup, write_backup

LONG = os.environ.get("FASTNN_LONG") == "1"


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: of a file of this kind.
        write: `write(model, path)`.
        read: `read(path, model)` gives a model with what the file holds; it may be the
            model that was given.
        files: more than one where a state is in several; they appear one by one, but
            only a whole set counts.
    """

    name: str
    write: Callable[[Any, str], None]
    read: Callable[[str, Any], Any]
    files: int = 1


def _save(model: Any, path: str) -> None:
    model.save(path)


def _save_weights(model: Any, path: str) -> None:
    model.save_weights(path)


def _save_shards(model: Any, path: str) -> None:
    largest = max(variable.numpy().nbytes for variable in model.weights)
    model.save_weights(path, max_shard_size=2 * largest / 2**30)


def _load(path: str, model: Any) -> Any:
    return load_model(path)


def _load_weights(path: str, model: Any) -> Any:
    model.load_weights(path)
    return model


def _backup(model: Any, path: str) -> None:
    write_backup(path, model, {"epoch": 1})


def _restore(path: str, model: Any) -> Any:
    backup = Backup(path)
    assert backup.state == {"epoch": 1}
    backup.restore(model)
    return model


KINDS = {
    "keras": Kind("m.keras", _save, _load),
    "h5": Kind("m.h5", _save, _load),
    "weights": Kind("m.weights.h5", _save_weights, _load_weights),
    "safetensors": Kind("m.safetensors", _save_weights, _load_weights),
    "npz": Kind("m.npz", _save_weights, _load_weights),
    "shards": Kind("m.weights.json", _save_shards, _load_weights, files=3),
    "backup": Kind("latest.weights.h5", _backup, _restore),
}
