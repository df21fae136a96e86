# SPDX-License-Identifier: Apache-2.0
"""Whole models in one HDF5 file, weights by layers' names: Keras 1, 2 and `.h5`.

The config is text in an attribute; the weights of each layer of the model stand in a
group of its name, in an order that an attribute lists.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import losses
from fastnn.errors import ModelFileError, warn_user
from fastnn.saving import limits
from fastnn.saving.building import build_model
from fastnn.saving.formats import weights_of
from fastnn.saving.keras_files import KERAS_VERSION
from fastnn.saving.legacy_configs import modernized
from fastnn.saving.reader import Reader, Stored
from fastnn.saving.variables import Problems, StoredList, compare, plain_array
from fastnn.saving.windows import new_hdf5, put_array
from fastnn.serialization import CustomObjectScope, serialize_keras_object

_HEADER = 64512  # bytes of attributes that an HDF5 object has room for
_TOP = "top_level_model_weights"


# ---- writing -----------------------------------------------------------------------


def write_h5(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes a whole-model `.h5` file in place of what is there."""
    import json

    config = {"class_name": type(model).__name__, "config": model.get_config()}
    text = json.dumps(serialize_keras_object(config))
    optimizer = model.optimizer if include_optimizer else None
    training = None
    if optimizer is not None and model.compiled:
        training = json.dumps(_training_config(model))

    def fill(file: Any) -> None:
        file.attrs["keras_version"] = KERAS_VERSION
        file.attrs["backend"] = "fastnn"
        file.attrs["model_config"] = text
        if training is not None:
            file.attrs["training_config"] = training
        write_layers(file.create_group("model_weights"), model)
        if optimizer is not None and optimizer.variables:
            group = file.create_group("optimizer_weights")
            _write_group(group, optimizer.saved_values())

    new_hdf5(path, fill)


def _training_config(model: Any) -> dict[str, Any]:
    config: dict[str, Any] = dict(model.get_compile_config())
    config["loss"] = _whole_names(config["loss"])
    optimizer = config.pop("optimizer")
    for key in ("run_eagerly", "steps_per_execution", "jit_compile"):
        config.pop(key, None)
    name = optimizer["registered_name"] or optimizer["class_name"]
    config["optimizer_config"] = {"class_name": name, "config": optimizer["config"]}
    return config


def _whole_names(loss: Any) -> Any:
    """`mean_squared_error` for `mse`: Keras 3.15 fails at short names in `.h5`."""
    if isinstance(loss, (list, tuple)):
        return [_whole_names(item) for item in loss]
    if isinstance(loss, dict) and "class_name" not in loss:
        return {key: _whole_names(item) for key, item in loss.items()}
    if not isinstance(loss, str):
        return loss
    found = losses.get(loss)
    return getattr(found, "__name__", loss)


def write_layers(group: Any, model: Any) -> None:
    """Writes the weights of each layer under its name."""
    _write_names(group, "layer_names", [layer.name for layer in model.layers])
    group.attrs["backend"] = "fastnn"
    group.attrs["keras_version"] = KERAS_VERSION
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        inner = group.create_group(layer.name)
        _write_group(inner, [(w.path, w) for w in _weights(layer)])
    own = [(w.path, w) for w in model._saved_variables()]
    _write_group(group.create_group(_TOP), own)


def _write_group(group: Any, values: list[tuple[str, Any]]) -> None:
    names: dict[str, Any] = {}
    for path, value in values:
        name, count = path, 0
        while name in names:  # a name is a key only, but it is one
            count += 1
            name = f"{path}_{count}"
        names[name] = value
    _write_names(group, "weight_names", list(names))
    for name, value in names.items():
        put_array(group, name, plain_array(value))


def _write_names(group: Any, name: str, names: list[str]) -> None:
    """A list of texts, in several attributes where one cannot hold it."""
    data = np.array([text.encode() for text in names])
    if not names:
        group.attrs[name] = np.zeros(0)
        return
    parts = -(-data.nbytes // _HEADER)
    if parts == 1:
        group.attrs[name] = data
        return
    for i, part in enumerate(np.array_split(data, parts + 1)):
        group.attrs[f"{name}{i}"] = part


def _weights(layer: Any) -> list[Any]:
    """In the order of these files: all that is trained first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


# ---- reading -----------------------------------------------------------------------


def read_h5(path: str, custom_objects: Any, compile: bool) -> Any:
    """The model of a whole-model HDF5 file."""
    with weights_of(path) as reader:
        config = _json(reader, "model_config")
        if config is None:
            raise reader.fail(
                "it describes no model (attribute model_config); weights alone are "
                "read by model.load_weights(path)."
            )
        model = build_model(config, custom_objects, reader, "model_config")
        read_layers(model, reader)
        training = _json(reader, "training_config") if compile else None
        if training is not None:
            _compile(model, training, custom_objects)
            _read_optimizer(model, reader)
        elif compile:
            warn_user(
                f"[load_model] {path} does not say how the model was compiled: call "
                "compile before fit or evaluate."
            )
    return model


def _json(reader: Reader, name: str) -> Any:
    text = reader.attribute("", name)
    if text is None:
        return None
    return limits.parse_json(str(text), reader.path, name, reader.size)


def _compile(model: Any, training: dict[str, Any], custom_objects: Any) -> None:
    config = dict(training)
    config["optimizer"] = config.pop("optimizer_config", "rmsprop")
    known = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
    given = {key: config[key] for key in known if config.get(key) is not None}
    with CustomObjectScope(custom_objects):
        model.compile_from_config(modernized(given))


def _read_optimizer(model: Any, reader: Reader) -> None:
    if "optimizer_weights" not in reader.groups:
        return
    stored = _listed(reader, "optimizer_weights")
    model._build_optimizer()
    model.optimizer.load_own_variables(StoredList(reader, stored))


def root_of(reader: Reader) -> str:
    """Path of the group that holds the layers' weights."""
    names = reader.attribute("", "layer_names")
    if names is None and "model_weights" in reader.groups:
        return "model_weights"
    return ""


def _names(reader: Reader, path: str, name: str) -> list[str]:
    found = reader.attribute(path, name)
    if found is not None:
        return [str(item) for item in found] if isinstance(found, list) else [found]
    names: list[str] = []
    for i in range(limits.HDF5_OBJECTS):
        part = reader.attribute(path, f"{name}{i}")
        if part is None:
            break
        names += part
    return names


def _listed(reader: Reader, path: str) -> list[Stored]:
    """The datasets of a group, in the order of its weight_names."""
    found = []
    for name in _names(reader, path, "weight_names"):
        place = f"{path}/{name}".lstrip("/")
        if place not in reader.datasets:
            raise reader.fail("weight_names lists it, and it is not there.", place)
        found.append(reader.datasets[place])
    return found


def read_layers(
    model: Any,
    reader: Reader,
    by_name: bool = False,
    skip_mismatch: bool = False,
) -> None:
    """Loads weights layer by layer: in order, or into layers of the same names.

    Raises:
        ModelFileError: listing every layer that does not fit; nothing has changed then.
    """
    root = root_of(reader)
    groups: dict[str, list[Stored]] = {}
    for name in _names(reader, root, "layer_names"):
        place = f"{root}/{name}".lstrip("/")
        if place not in reader.groups:
            raise reader.fail("layer_names lists it, and it is not there.", place)
        groups[name] = _listed(reader, place)
    problems = Problems()
    planned: list[tuple[Any, list[Any], list[Stored]]] = []
    for layer, name, stored in _pairs(model, groups, by_name, reader, root):
        weights = model._saved_variables() if layer is model else _weights(layer)
        problem = compare(stored, weights, layer)
        if problem:
            problems.note(name, layer, problem)
        else:
            planned.append((layer, weights, stored))
    problems.report(reader, skip_mismatch)
    for _, weights, stored in planned:
        for weight, one in zip(weights, stored, strict=True):
            one.load_into(weight)


def _pairs(
    model: Any,
    groups: dict[str, list[Stored]],
    by_name: bool,
    reader: Reader,
    root: str,
) -> list[tuple[Any, str, list[Stored]]]:
    """(layer, its name in the file, its weights there)."""
    top = f"{root}/{_TOP}".lstrip("/")
    own = [(model, _TOP, _listed(reader, top))] if top in reader.groups else []
    if by_name:
        layers = [layer for layer in model.layers if layer.name in groups]
        return [*((x, x.name, groups[x.name]) for x in layers), *own]
    layers = [layer for layer in model.layers if layer.weights]
    filled = {name: stored for name, stored in groups.items() if stored}
    if len(layers) != len(filled):
        raise ModelFileError(
            reader.path,
            f"the file has weights for {len(filled)} layers ({', '.join(filled)}), the "
            f"model has {len(layers)} with weights "
            f"({', '.join(layer.name for layer in layers)}). Layers of the same names "
            "only are loaded with by_name=True.",
            root,
        )
    return [
        *(
            (layer, name, filled[name])
            for layer, name in zip(layers, filled, strict=True)
        ),
        *own,
    ]
