# SPDX-License-Identifier: Apache-2.0
"""Optimizers by name and config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn import _lazy
from fastnn.optimizers.optimizer import Optimizer
from fastnn.serialization import (
    deserialize_keras_object,
    exported,
    resolve,
    serialize_keras_object,
)

_MODULE = "keras.optimizers"
_TABLE = exported(_MODULE, {name.lower(): name for name in _lazy.homes(_MODULE)})


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


__all__ = ["deserialize", "get", "serialize"]
