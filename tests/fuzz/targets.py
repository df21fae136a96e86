# SPDX-License-Identifier: Apache-2.0
"""What reads each format, and how its damaged files are made. A format is a row."""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, NamedTuple

import corpus
import h5py
import mutations as m
import numpy as np

from fastnn.models import load_model, model_from_json
from fastnn.saving import limits
from fastnn.saving.allowance import weights_limited
from fastnn.saving.formats import weights_of
from fastnn.saving.training_state import Backup


class Target(NamedTuple):
    """A format.

    Attributes:
        ending: of the file.
        make: `make(draw)` gives the bytes of a damaged file.
        read: `read(path)` reads one, by a public function.
        seeds: sound files.
    """

    ending: str
    make: Callable[[random.Random], bytes]
    read: Callable[[str], object]
    seeds: list[bytes]


def _keras() -> Target:
    """Archives: damaged as bytes, or made anew of damaged members."""
    seeds = corpus.seeds("keras")
    members = [m.unpacked(data) for data in seeds]
    trees = corpus.configs() + [json.loads(one["config.json"]) for one in members]

    def make(draw: random.Random) -> bytes:
        number, kind = draw.randrange(len(seeds)), draw.random()
        if kind < 0.4:
            return m.damaged(seeds[number], draw, seeds[number - 1])
        one = dict(members[number])
        if kind < 0.55:
            name = "model.weights.h5"
            one[name] = m.damaged(one[name], draw, members[number - 1][name])
        elif kind < 0.75:
            tree = m.changed(draw.choice(trees), draw, trees)
            one["config.json"] = m.written(tree, draw)
        return m.packed(one, draw, strange=1.0 if kind >= 0.75 else 0.1)

    return Target(".keras", make, load_model, seeds)


def _json() -> Target:
    """Configs alone."""
    trees = corpus.configs()
    seeds = [json.dumps(tree).encode() for tree in trees]

    def make(draw: random.Random) -> bytes:
        if draw.random() < 0.1:
            return m.damaged(draw.choice(seeds), draw, draw.choice(seeds))
        return m.written(m.changed(draw.choice(trees), draw, trees), draw)

    def read(path: str) -> object:
        with open(path, "rb") as file:
            data = file.read()
        with weights_limited(1 << 16):  # as the file limits them that has the config
            return model_from_json(data.decode("utf-8", "surrogateescape"))

    return Target(".json", make, read, seeds)


def _h5() -> Target:
    """Whole models in HDF5: bytes, or the texts in its attributes.

    Most files are of the small model, which takes a quarter of the other one's time.
    """
    seeds = corpus.seeds("h5")
    trees = corpus.configs()
    names = ("model_config", "training_config")

    def make(draw: random.Random) -> bytes:
        data = seeds[draw.random() < 0.2]
        if draw.random() < 0.6:
            return m.damaged(data, draw, seeds[0])
        return _edited(data, lambda file: edit(file, draw))

    def edit(file: Any, draw: random.Random) -> None:
        name = draw.choice(names)
        if name in file.attrs and draw.random() < 0.8:
            tree = json.loads(file.attrs[name])
            file.attrs[name] = m.written(m.changed(tree, draw, trees), draw)
        else:
            _edit(file, draw)

    return Target(".h5", make, load_model, seeds)


def _edited(data: bytes, edit: Callable[[Any], None]) -> bytes:
    """The HDF5 file after changes by h5py; those it refuses are not made."""
    handle = os.memfd_create("edited")
    try:
        os.write(handle, data)
        path = f"/proc/self/fd/{handle}"
        refusals = (ValueError, OSError, TypeError, KeyError, RuntimeError)
        with contextlib.suppress(*refusals), h5py.File(path, "r+") as file:
            edit(file)
        return os.pread(handle, os.fstat(handle).st_size, 0)
    finally:
        os.close(handle)


def _edit(file: Any, draw: random.Random) -> None:
    """Another layout: datasets and groups that are moved, gone or of other kinds."""
    places: list[str] = []
    file.visit(places.append)
    place = draw.choice(places)
    kind = draw.randrange(9)
    if kind == 0:
        del file[place]
    elif kind == 1:
        file.move(place, draw.choice(places) + draw.choice(("x", "/0", "/vars")))
    elif kind == 2:
        file[draw.choice(places) + "/again"] = file[place]
    elif kind == 3:
        link = h5py.SoftLink("/layers"), h5py.ExternalLink("/etc/passwd", "/x")
        file[place + draw.choice(("x", "/0"))] = draw.choice(link)
    elif kind == 4:
        file[place].attrs[draw.choice(("name", "dtype", "layer_names"))] = draw.choice(
            ("bfloat16", 3.5, ["a", "b"], np.arange(4), b"x" * 300, ["y" * 999] * 3)
        )
    else:
        _edit_dataset(file, place, draw)


def _edit_dataset(file: Any, place: str, draw: random.Random) -> None:
    if place in file and draw.random() < 0.8:
        shape = getattr(file[place], "shape", (2,))
        del file[place]
    else:
        place, shape = f"{place}/{draw.randrange(4)}", (3, 2)
    number = draw.choice((0, 1, 2, 7, 10**6, 2**31, 2**40))
    shape = draw.choice((shape, shape[::-1], (*shape, 1), (), (number,), (number, 3)))
    dtype = draw.choice(("f4", "f4", "f2", "f8", "i4", "i8", "?", "S4", "V2", "c8"))
    more: dict[str, Any] = {}
    if shape and 0 not in shape and draw.random() < 0.5:
        more["chunks"] = tuple(min(n, draw.choice((1, 4, 10**5))) for n in shape)
        more[draw.choice(("shuffle", "fletcher32"))] = True
        if draw.random() < 0.5:
            more["compression"] = draw.choice((1, 9, "lzf"))
    elif draw.random() < 0.1:
        more["external"] = [("/etc/passwd", 0, 100)]
    file.create_dataset(place, shape, dtype, **more)


def _hdf5() -> Target:
    """Any HDF5 file: all of its datasets and attributes are read."""
    seeds = corpus.seeds("hdf5")

    def make(draw: random.Random) -> bytes:
        return m.damaged(draw.choice(seeds), draw, seeds[0])

    def read(path: str) -> None:
        with limits.reading(path), weights_of(path) as reader:
            for stored in reader.datasets.values():
                if not stored.problem:
                    stored.read()
            for place in reader.groups:
                for name in ("name", "names", "dtype"):
                    reader.attribute(place, name)

    return Target(".h5", make, read, seeds)


def _weights() -> Target:
    """Weights for a model; another layout, or other bytes."""
    seeds = corpus.seeds("weights")
    model = corpus.small()

    def make(draw: random.Random) -> bytes:
        data = draw.choice(seeds)
        if draw.random() < 0.7:
            return m.damaged(data, draw, seeds[-1])
        return _edited(data, lambda file: _edit(file, draw))

    return Target(".weights.h5", make, model.load_weights, seeds)


def _safetensors() -> Target:
    """The table, which is JSON, or bytes."""
    seeds = corpus.seeds("safetensors")
    model = corpus.small()
    sizes = [int.from_bytes(data[:8], "little") for data in seeds]
    trees = [json.loads(data[8 : 8 + n]) for data, n in zip(seeds, sizes, strict=True)]

    def make(draw: random.Random) -> bytes:
        number = draw.randrange(len(seeds))
        data = seeds[number]
        if draw.random() < 0.4:
            return m.damaged(data, draw, seeds[number - 1])
        text = m.written(m.changed(trees[number], draw, trees), draw)
        return len(text).to_bytes(8, "little") + text + data[8 + sizes[number] :]

    return Target(".safetensors", make, model.load_weights, seeds)


def _npz() -> Target:
    """Archives of arrays, whose headers are text."""
    seeds = corpus.seeds("npz")
    members = [m.unpacked(data) for data in seeds]
    model = corpus.small()

    def make(draw: random.Random) -> bytes:
        number = draw.randrange(len(seeds))
        if draw.random() < 0.4:
            return m.damaged(seeds[number], draw, seeds[number - 1])
        one = dict(members[number])
        name = draw.choice(list(one))
        one[name] = m.damaged(one[name], draw, draw.choice(list(one.values())))
        return m.packed(one, draw)

    return Target(".npz", make, model.load_weights, seeds)


def _backup() -> Target:
    """Backups: the JSON beside the weights, or bytes."""
    (seed,) = seeds = corpus.seeds("backup")
    model = corpus.small()

    def make(draw: random.Random) -> bytes:
        if draw.random() < 0.3:
            return m.damaged(seed, draw, seed[::-1])

        def edit(file: Any) -> None:
            tree = json.loads(file["fastnn/json"][()].tobytes())
            text = m.written(m.changed(tree, draw, [tree]), draw)
            del file["fastnn/json"]
            file["fastnn/json"] = np.frombuffer(text, np.uint8)

        return _edited(seed, edit)

    def read(path: str) -> object:
        return Backup(path).restore(model)

    return Target(".weights.h5", make, read, seeds)


def _onnx() -> Target:
    """Graphs of ONNX: the messages in it, or bytes. What can be read also runs."""
    import onnx_damage

    from fastnn.onnx import import_model
    from fastnn.onnx.importing import shapes

    seeds = corpus.seeds("onnx")
    shapes.MOST_ELEMENTS = 1 << 16  # what runs may be large, but no larger than that

    def make(draw: random.Random) -> bytes:
        data = draw.choice(seeds)
        if draw.random() < 0.3:
            return m.damaged(data, draw, draw.choice(seeds))
        return onnx_damage.changed(data, draw, seeds)

    def read(path: str) -> None:
        model = import_model(path)
        with contextlib.suppress(Exception):  # of a graph that fits together nowhere
            model([np.ones([n or 2 for n in spec.shape]) for spec in model.inputs])

    return Target(".onnx", make, read, seeds)


TARGETS = {
    "keras": _keras,
    "json": _json,
    "h5": _h5,
    "hdf5": _hdf5,
    "weights": _weights,
    "safetensors": _safetensors,
    "npz": _npz,
    "backup": _backup,
    **({"onnx": _onnx} if find_spec("onnx") else {}),
}
