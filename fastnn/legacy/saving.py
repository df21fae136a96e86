# SPDX-License-Identifier: Apache-2.0
"""Objects as Keras 2 described them: a class's name and its config, no module."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from fastnn import serialization
from fastnn._registry import CustomObjectScope, get_registered_name
from fastnn._registry import get_registered_object as _registered


def serialize_keras_object(instance: Any) -> Any:
    """`{"class_name": ..., "config": ...}` of an object, the name of a function.

    None stays None.

    Raises:
        ValueError: for what has neither a `get_config` nor a name.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        name = get_registered_name(type(instance))
        return {"class_name": name, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return get_registered_name(instance)
    raise ValueError(
        f"[serialize_keras_object] {instance!r} has no get_config and no name."
    )


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        identifier: a config dict; a name, of which a class is called without arguments;
            a function or None, which stay as they are.
        module_objects: name -> class or function.
        custom_objects: the same, looked at first.
        printable_module_name: what an error calls the object.

    Raises:
        ValueError: for an unknown name, and for anything else.

    Example:
        >>> from fastnn import keras
        >>> known = {"Dense": keras.layers.Dense}
        >>> config = {"class_name": "Dense", "config": {"units": 3}}
        >>> keras.legacy.saving.deserialize_keras_object(config, known).units
        3
    """
    if identifier is None or inspect.isfunction(identifier):
        return identifier
    if isinstance(identifier, dict):
        return serialization.deserialize_keras_object(
            identifier, custom_objects, module_objects=module_objects
        )
    found = None
    if isinstance(identifier, str):
        with CustomObjectScope(custom_objects):
            found = _registered(identifier, module_objects=module_objects)
    if found is None:
        raise ValueError(
            f"[deserialize_keras_object] unknown {printable_module_name} "
            f"{identifier!r}: give it in custom_objects={{name: object}}."
        )
    return found() if isinstance(found, type) else found
