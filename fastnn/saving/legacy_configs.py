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
_REDUCTIONS = {"auto": "sum_over_batch_size"}


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
    if isinstance(name, str) and name.startswith("Custom>") and _unknown(name):
        name = name.removeprefix("Custom>")  # Keras 2 of its own optimizers, in .h5
        config = {**config, "class_name": name}
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
            inner = _first_calls(inner)
    elif name == "Sequential" and _of_keras(result.get("module")):
        result["module"] = "keras"
    elif old:
        result["module"] = home or "keras.layers" if _unknown(name) else None
    if isinstance(inner, dict):
        if name == "MultiHeadAttention" and "query_shape" in inner:
            result.pop("build_config", None)  # has one shape; its calls build it
        if name == "MeanMetricWrapper" and isinstance(inner.get("fn"), str):
            return _metric(inner)
        inner = _arguments(result, inner)
    result["config"] = inner
    for key in ("build_config", "compile_config"):
        if key in result:
            result[key] = modernized(result[key])
    compiled = result.get("compile_config")
    if isinstance(compiled, dict) and compiled.get("steps_per_execution", 1) is None:
        del compiled["steps_per_execution"]
    if isinstance(result.get("inbound_nodes"), list):
        result["inbound_nodes"] = [_call(node) for node in result["inbound_nodes"]]
    return result


def _unknown(name: str) -> bool:
    return get_registered_object(name) is None


def _of_keras(module: Any) -> bool:
    return module is None or str(module).split(".")[0] in ("keras", "tf_keras")


def _arguments(owner: dict[str, Any], inner: dict[str, Any]) -> Any:
    name, module = owner["class_name"], str(owner.get("module"))
    given = dict(inner)
    if "batch_input_shape" in given and name == "InputLayer":
        given["batch_shape"] = given.pop("batch_input_shape")
    if name == "Lambda" and isinstance(given.get("function"), list):
        given["function"] = {"class_name": "__lambda__", "config": {}}
    axis = given.get("axis")
    if module == "keras.layers" and isinstance(axis, list) and len(axis) == 1:
        given["axis"] = axis[0]
    for key, values in _GONE.items():
        if key in given and given[key] in values:
            del given[key]
    if module == "keras.layers":
        _layer(name, given)
    elif module == "keras.losses":
        _loss(given)
    elif module.startswith("keras.optimizers"):
        _rates(given)
    return {key: modernized(value, _home(key, None)) for key, value in given.items()}


def _layer(name: str, given: dict[str, Any]) -> None:
    if name == "MultiHeadAttention":
        for key in ("query_shape", "key_shape", "value_shape"):
            given.pop(key, None)
    if name.startswith(("Depthwise", "Separable")) or name.endswith("Transpose"):
        if given.get("groups") == 1:
            del given["groups"]
        if name.startswith("Separable"):  # its two kernels have arguments of their own
            for key in ("initializer", "regularizer", "constraint"):
                given.pop(f"kernel_{key}", None)


def _loss(given: dict[str, Any]) -> None:
    """Keras 2 names the function that a class of its own wraps."""
    if isinstance(given.get("fn"), str):
        del given["fn"]
    reduction = given.get("reduction")
    if isinstance(reduction, str):
        given["reduction"] = _REDUCTIONS.get(reduction, reduction)


def _metric(inner: dict[str, Any]) -> dict[str, Any]:
    """Keras 2 saves "accuracy" as a wrapper of a function's name."""
    title = "".join(word.capitalize() for word in inner["fn"].split("_"))
    config = {key: value for key, value in inner.items() if key in ("name", "dtype")}
    return {"module": "keras.metrics", "class_name": title, "config": config}


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


def _first_calls(inner: dict[str, Any]) -> dict[str, Any]:
    """Counts calls of nested Sequentials from 0; Keras 2 counts their making too."""
    if not isinstance(inner["layers"], list):
        return inner
    layers = [layer for layer in inner["layers"] if isinstance(layer, dict)]
    nested = {
        str(layer.get("name"))
        for layer in layers
        if layer.get("class_name") == "Sequential"
    }
    nodes = [node for layer in layers for node in _listed(layer.get("inbound_nodes"))]
    if not nested or any(isinstance(node, dict) for node in nodes):
        return inner  # the others are of Keras 3
    counted = nested - _called_first([nodes, inner.get("output_layers")])

    def renumbered(value: Any) -> Any:
        if _is_tensor(value) and value[0] in counted:
            return [value[0], value[1] - 1, *map(renumbered, value[2:])]
        if isinstance(value, list):
            return [renumbered(item) for item in value]
        if isinstance(value, dict):
            return {key: renumbered(item) for key, item in value.items()}
        return value

    changed = {
        **inner,
        "layers": [
            {**layer, "inbound_nodes": renumbered(layer["inbound_nodes"])}
            if isinstance(layer, dict) and "inbound_nodes" in layer
            else layer
            for layer in inner["layers"]
        ],
    }
    for key in ("input_layers", "output_layers"):
        changed[key] = renumbered(inner.get(key))
    return changed


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _called_first(value: Any) -> set[str]:
    """Names of layers whose call 0 is mentioned."""
    found: set[str] = set()
    todo = [value]
    while todo:
        value = todo.pop()
        if _is_tensor(value) and value[1] == 0:
            found.add(value[0])
        if isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
    return found


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
