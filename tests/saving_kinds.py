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
        optimizer: the optimizer's variables come back as well.
    """

    name: str
    write: Callable[[Any, str], None]
    read: Callable[[str, Any], Any]
    optimizer: bool = True


def _save(model: Any, path: str) -> None:
    model.save(path)


def _save_weights(model: Any, path: str) -> None:
    model.save_weights(path)


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
    "backup": Kind("latest.weights.h5", _backup, _restore),
}
