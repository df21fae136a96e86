# SPDX-License-Identifier: Apache-2.0
"""Configs of Keras 2, and of Keras 3's `.h5` files, in the form of Keras 3's archives.

What changed since: objects name their module, calls between layers are written as
arguments, and some arguments have other names.
"""

from __future__ import annotations

from typing import Any

from fastnn._registry import get_registered_object

_HOMES = {
    "initializer": "keras.initializers",
    "regularizer": "keras.regularizers",
    "constraint": "keras.constraints",
    "schedule": "keras.optimizers.schedules",
    "rate": "keras.optimizers.schedules",
    "optimizer": "keras.optimizers",
    "loss": "keras.losses",
    "metrics": "keras.metrics",
    "layer": "keras.layers",
    "layers": "keras.layers",
    "cell": "keras.layers",
    "cells": "keras.layers",
}
# Names of classes that are not those under which Keras shows them.
_RENAMED = {"GroupedQueryAttention": "GroupQueryAttention"}
_FUNCTIONAL = "keras.src.models.functional"
# Arguments that are gone, with the values that changed nothing.
_GONE: dict[str, tuple[Any, ...]] = {
    "time_major": (False,),
    "jit_compile": (False, True),
    "is_legacy_optimizer": (False, True),
    "ragged": (False,),
    "sparse": (False,),
}


def modernized(config: Any, home: str | None = None) -> Any:
    """The config with objects, calls and arguments as Keras 3 names them.

    Args:
        config: plain data; not changed.
        home: module of an object that does not name one.
    """
    if isinstance(config, (list, tuple)):
        return [modernized(item, home) for item in config]
    if not isinstance(config, dict):
        return config
    name = config.get("class_name")
    if name == "__tuple__" and "items" in config:
        return [modernized(item, home) for item in config["items"]]
    if isinstance(name, str) and "config" in config:
        return _object(name, config, home)
    return {key: modernized(value, _home(key, home)) for key, value in config.items()}


def _home(key: Any, outer: str | None) -> str | None:
    if not isinstance(key, str):
        return outer
    return _HOMES.get(key.rpartition("_")[2]) or _HOMES.get(key) or outer


def _object(name: str, config: dict[str, Any], home: str | None) -> dict[str, Any]:
    result = dict(config)
    if name in _RENAMED and not result.get("registered_name"):
        name = result["class_name"] = _RENAMED[name]
    old = "module" not in result
    inner = config["config"]
    if name == "Sequential" and isinstance(inner, list):
        inner = {"layers": inner}
    if name in ("Functional", "Model") and isinstance(inner, dict):
        if {"layers", "input_layers"} <= inner.keys():
            result.update(module=_FUNCTIONAL, class_name="Functional")
            result["registered_name"] = "Functional"
    elif name == "Sequential" and _of_keras(result.get("module")):
        result["module"] = "keras"
    elif old:
        known = get_registered_object(name) is not None
        result["module"] = None if known else home or "keras.layers"
    if isinstance(inner, dict):
        inner = _arguments(result, inner, old)
    result["config"] = inner
    for key in ("build_config", "compile_config"):
        if key in result:
            result[key] = modernized(result[key])
    if isinstance(result.get("inbound_nodes"), list):
        result["inbound_nodes"] = [_call(node) for node in result["inbound_nodes"]]
    return result


def _of_keras(module: Any) -> bool:
    return module is None or str(module).split(".")[0] in ("keras", "tf_keras")


def _arguments(owner: dict[str, Any], inner: dict[str, Any], old: bool) -> Any:
    name = owner["class_name"]
    given = dict(inner)
    if "batch_input_shape" in given and name == "InputLayer":
        given["batch_shape"] = given.pop("batch_input_shape")
    if name == "Lambda" and isinstance(given.get("function"), list):
        given["function"] = {"class_name": "__lambda__", "config": {}}
    axis = given.get("axis")
    if old and isinstance(axis, list) and len(axis) == 1:
        given["axis"] = axis[0]
    for key, values in _GONE.items():
        if key in given and given[key] in values:
            del given[key]
    if str(owner.get("module")).startswith("keras.optimizers"):
        _rates(given)
    return {key: modernized(value, _home(key, None)) for key, value in given.items()}


def _rates(given: dict[str, Any]) -> None:
    """`lr` and `decay` of the optimizers of Keras 2."""
    if "lr" in given:
        given.setdefault("learning_rate", given.pop("lr"))
    decay = given.pop("decay", None)
    if decay and not isinstance(given.get("learning_rate"), dict):
        arguments = {
            "initial_learning_rate": given.get("learning_rate"),
            "decay_steps": 1,
            "decay_rate": decay,
        }
        given["learning_rate"] = {
            "module": "keras.optimizers.schedules",
            "class_name": "InverseTimeDecay",
            "config": arguments,
        }


# ---- calls: [["name", 0, 0, {}], ...] ----------------------------------------------


def _call(node: Any) -> Any:
    """One call of a layer: Keras 2 lists its inputs, with the keywords in the first."""
    if isinstance(node, dict):
        return node
    if _is_tensor(node):
        node = [node]
    tensors = [_tensor(item) for item in node]
    first: Any = node[0] if node else ()
    keywords = first[3] if len(first) > 3 and isinstance(first[3], dict) else {}
    kwargs = {key: _argument(value) for key, value in keywords.items()}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kwargs}


def _is_tensor(node: Any) -> bool:
    return (
        isinstance(node, (list, tuple))
        and len(node) >= 3
        and isinstance(node[0], str)
        and isinstance(node[1], int)
        and isinstance(node[2], int)
    )


def _tensor(node: Any) -> Any:
    if not _is_tensor(node):
        return _argument(node)
    if node[0] == "_CONSTANT_VALUE":
        return node[2]
    history = {"shape": None, "dtype": None, "keras_history": list(node[:3])}
    return {"class_name": "__keras_tensor__", "config": history}


def _argument(value: Any) -> Any:
    """A keyword's value, in which tensors stand as [name, call, output]."""
    if _is_tensor(value) and value[0] != "_CONSTANT_VALUE":
        return _tensor(value)
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if isinstance(value, dict):
        return {key: _argument(item) for key, item in value.items()}
    return value
