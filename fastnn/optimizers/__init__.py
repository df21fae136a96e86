# SPDX-License-Identifier: Apache-2.0
"""Optimizers and learning-rate schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn.optimizers import schedules as schedules
from fastnn.optimizers.adadelta import Adadelta as Adadelta
from fastnn.optimizers.adagrad import Adagrad as Adagrad
from fastnn.optimizers.adam import Adam as Adam
from fastnn.optimizers.adam import AdamW as AdamW
from fastnn.optimizers.adamax import Adamax as Adamax
from fastnn.optimizers.ftrl import Ftrl as Ftrl
from fastnn.optimizers.lamb import Lamb as Lamb
from fastnn.optimizers.lion import Lion as Lion
from fastnn.optimizers.muon import Muon as Muon
from fastnn.optimizers.nadam import Nadam as Nadam
from fastnn.optimizers.optimizer import Optimizer as Optimizer
from fastnn.optimizers.rmsprop import RMSprop as RMSprop
from fastnn.optimizers.sgd import SGD as SGD
from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    resolve,
    serialize_keras_object,
)

_TABLE = exported("keras.optimizers")
_TABLE |= {name.lower(): cls for name, cls in _TABLE.items()}


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The config dict of an optimizer, without its variables."""
    return serialize_keras_object(optimizer)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` described."""
    known = _TABLE.get(str(config["class_name"]).lower())
    if known is not None and not config.get("registered_name"):
        config = {**config, "class_name": known.__name__, "module": "keras.optimizers"}
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Optimizer | None:
    """An optimizer by name in any case (`"sgd"`), config, class or object.

    Raises:
        ValueError: for anything else; None stays None.
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str) and identifier.lower() in _TABLE:
        identifier = identifier.lower()
    found = (
        deserialize(identifier)
        if isinstance(identifier, dict)
        else resolve(identifier, _TABLE, "optimizer")
    )
    if isinstance(found, Optimizer):
        return found
    raise ValueError(f"[optimizer] {identifier!r} is not an Optimizer.")
