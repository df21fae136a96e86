# SPDX-License-Identifier: Apache-2.0
"""Small sound files of every format, from which damaged ones are made.

    python tests/fuzz/corpus.py FOLDER

writes them, for fuzzers that read a folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from fastnn import keras, layers
from fastnn.callbacks import BackupAndRestore

X, Y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")


def small(compiled: bool = True) -> Any:
    """A model whose files are a few kilobytes."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="d")])
    if compiled:
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        model.fit(X, Y, verbose=0)
    return model


def _functional() -> Any:
    inputs = keras.Input((3,))
    shared = layers.Dense(3, activation="relu")
    outputs = layers.Concatenate()([shared(inputs), shared(shared(inputs)) * 2.0])
    return keras.Model(inputs, outputs)


def _of_layers() -> Iterator[Any]:
    """Models of one or two layers of many kinds."""
    for shape, listed in (
        ((6, 6, 2), [layers.Conv2D(2, 3), layers.BatchNormalization()]),
        ((6, 6, 2), [layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5)]),
        ((5, 3), [layers.LSTM(2), layers.LayerNormalization()]),
        ((5, 3), [layers.Bidirectional(layers.GRU(2)), layers.Reshape((2, -1))]),
        ((5, 3), [layers.Conv1D(2, 2, padding="causal"), layers.UpSampling1D()]),
        ((4,), [layers.Embedding(7, 2), layers.GlobalAveragePooling1D()]),
        ((4,), [layers.RepeatVector(3), layers.ZeroPadding1D(), layers.PReLU()]),
        ((4,), [layers.Normalization(mean=0.5, variance=2.0), layers.Rescaling(2.0)]),
        ((6, 4), [layers.TimeDistributed(layers.Dense(2)), layers.Permute((2, 1))]),
    ):
        yield keras.Sequential([keras.Input(shape), *listed])


def configs() -> list[Any]:
    """Configs of models, as plain data."""
    models = [small(), _functional(), *_of_layers()]
    return [json.loads(model.to_json()) for model in models]


def _plain_weights(path: Path) -> None:
    """All kinds of datasets that the reader takes."""
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group.create_dataset("0", data=np.ones((3, 2), "f4"))
        group.create_dataset("1", data=np.ones(2, "f4"), chunks=(2,), compression=1)
        group.create_dataset("2", data=np.ones(9, "f8"), chunks=(4,), fletcher32=True)
        group.create_dataset("3", data=np.int32(7))
        group.create_dataset("4", data=np.ones(3, "V2"))
        group["4"].attrs["dtype"] = "bfloat16"
        file.attrs["names"] = ["a", "bc"]


def seeds(name: str) -> list[bytes]:
    """Sound files of a format."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return [path.read_bytes() for path in _MAKERS[name](place)]


def _keras(place: Path) -> list[Path]:
    small().save(place / "a.keras")
    _functional().save(place / "b.keras")
    return [place / "a.keras", place / "b.keras"]


def _h5(place: Path) -> list[Path]:
    small().save(place / "a.h5")
    _functional().save(place / "b.h5")
    return [place / "a.h5", place / "b.h5"]


def _weights(place: Path) -> list[Path]:
    small().save_weights(place / "a.weights.h5")
    small(compiled=False).save_weights(place / "b.weights.h5")
    return [place / "a.weights.h5", place / "b.weights.h5"]


def _arrays(ending: str) -> Callable[[Path], list[Path]]:
    def make(place: Path) -> list[Path]:
        paths = [place / f"a{ending}", place / f"b{ending}"]
        small().save_weights(paths[0])
        small(compiled=False).save_weights(paths[1])
        return paths

    return make


def _hdf5(place: Path) -> list[Path]:
    _plain_weights(place / "a.h5")
    small().save(place / "b.h5")
    return [place / "a.h5", place / "b.h5"]


def _backup(place: Path) -> list[Path]:
    backup = BackupAndRestore(place / "b", 1, delete_checkpoint=False)
    model = small()
    model.fit(X, Y, batch_size=2, verbose=0, callbacks=[backup])
    return [place / "b" / "latest.weights.h5"]


def _json(place: Path) -> list[Path]:
    paths = []
    for number, config in enumerate(configs()):
        paths.append(place / f"{number}.json")
        paths[-1].write_text(json.dumps(config))
    return paths


def _onnx(place: Path) -> list[Path]:
    from fastnn.onnx import export_model

    models = [small(), _functional(), *_of_layers()]
    paths = [place / f"{number}.onnx" for number in range(len(models))]
    for path, model in zip(paths, models, strict=True):
        export_model(model, path)
    return paths


_MAKERS = {
    "keras": _keras,
    "h5": _h5,
    "hdf5": _hdf5,
    "weights": _weights,
    "safetensors": _arrays(".safetensors"),
    "npz": _arrays(".npz"),
    "backup": _backup,
    "json": _json,
    "onnx": _onnx,
}

if __name__ == "__main__":
    for name in _MAKERS:
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds(name)):
            (folder / str(number)).write_bytes(data)
