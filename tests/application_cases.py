# SPDX-License-Identifier: Apache-2.0
"""What is recorded of the networks of keras.applications: see the record tool.

Works on real Keras and on fastnn; `keras` is either.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parent / "models/golden/keras_applications.json"
# What a config says in another way, or what the line says already.
_LEFT_OUT = ("name", "dtype", "trainable", "batch_shape", "layers", "build_input_shape")


def networks(keras: Any) -> list[str]:
    """Names of all functions that build a network."""
    names = dir(keras.applications)
    return sorted(n for n in names if n[0].isupper())


def lines(model: Any) -> list[str]:
    """A line for each layer: what it is, its settings, weights, and what it reads."""
    found = []
    for entry in model.get_config()["layers"]:
        name = entry["config"]["name"]
        given = dict(entry["config"])
        if entry["class_name"] == "LayerNormalization":
            given["axis"] = list(np.atleast_1d(given["axis"]))  # Keras's, once built
        config = {
            key: _plain(key, value)
            for key, value in given.items()
            if key not in _LEFT_OUT and value is not None
        }
        op = model.operations[[o.name for o in model.operations].index(name)]
        shapes = [tuple(w.shape) for w in getattr(op, "weights", ())]
        inner = [inner.name for inner in getattr(op, "layers", ())]
        found.append(
            f"{entry['class_name']} {name} {json.dumps(config, sort_keys=True)} "
            f"{shapes} {inner} <- {_sources(entry.get('inbound_nodes', []))}"
        )
    return found


def _plain(key: str, value: Any) -> Any:
    if key == "axis" and value == -1:
        return 3
    if isinstance(value, dict):
        config = value.get("config") or {}
        seedless = {k: v for k, v in config.items() if k != "seed"}
        return [value.get("class_name"), seedless]
    if isinstance(value, (list, tuple)):
        return [_plain("", v) for v in value]
    if hasattr(value, "tolist"):
        value = value.tolist()
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _sources(node: Any) -> list[str]:
    """Names of the layers whose outputs a recorded call reads, in order."""
    if isinstance(node, dict):
        if "keras_history" in node:
            return [node["keras_history"][0]]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        return [name for part in node for name in _sources(part)]
    return []


def record(model: Any) -> dict[str, Any]:
    """What must be the same: parameters, layers, and a hash of `lines`."""
    text = "\n".join(lines(model))
    trained = sum(_size(w) for w in model.trainable_weights)
    return {
        "parameters": sum(_size(w) for w in model.weights),
        "trainable": trained,
        "layers": len(model.layers),
        "name": model.name,
        "hash": hashlib.sha256(text.encode()).hexdigest()[:16],
    }


def _size(weight: Any) -> int:
    count = 1
    for n in weight.shape:
        count *= int(n)
    return count


def image() -> np.ndarray:
    """A small image in [0, 255], channels last."""
    return np.arange(24, dtype="float32").reshape(2, 4, 3) * 11 % 256


def preprocessed(keras: Any) -> dict[str, list[float]]:
    """Values of `image` for each mode, in both layouts."""
    utils = keras.applications.imagenet_utils
    found = {}
    for mode in ("caffe", "tf", "torch"):
        last = utils.preprocess_input(image()[None], "channels_last", mode)
        first = np.moveaxis(image(), -1, 0).copy()
        first = utils.preprocess_input(first, "channels_first", mode)
        assert np.array_equal(np.moveaxis(np.asarray(first), 0, -1), last[0])
        found[mode] = [float(f"{v:.7g}") for v in np.asarray(last).reshape(-1)]
    return found


def modes(keras: Any) -> dict[str, float]:
    """What `preprocess_input` of each module makes of a value, which tells its mode."""
    found = {}
    for name in sorted(dir(keras.applications)):
        module = getattr(keras.applications, name)
        if hasattr(module, "preprocess_input"):
            x = np.full((1, 1, 1, 3), 100.0, "float32")
            found[name] = float(f"{module.preprocess_input(x).reshape(-1)[0]:.7g}")
    return found
