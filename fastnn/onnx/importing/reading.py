# SPDX-License-Identifier: Apache-2.0
"""A file's bytes as a checked ModelProto, and its tensors as arrays.

Nothing in a file is run, and nothing outside of its folder opened. Sizes are compared
with the bytes that are there before memory is asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.errors import ModelFileError
from fastnn.onnx.importing.wire import check_wire
from fastnn.onnx.package import NAMES, onnx_package
from fastnn.opset._dtypes import ITEMSIZE, know
from fastnn.saving.opening import beside, read_file

LARGEST = (1 << 31) - 1
OPSETS = range(7, 29)
ELEMENTS = 1 << 40


def read_model(path: str, external_data: bool | None) -> Any:
    """The ModelProto of a file, with its tensors checked.

    Args:
        path: of the file.
        external_data: whether weights in other files are read; None leaves them there.

    Raises:
        ModelFileError: naming the place.
    """
    onnx = onnx_package()
    size = os.stat(path).st_size
    if size > LARGEST:
        raise ModelFileError(path, f"{size} bytes, at most {LARGEST} are read.")
    data = read_file(path, LARGEST)
    check_wire(data, path)
    try:
        proto = onnx.ModelProto.FromString(data)
    except Exception as error:
        raise ModelFileError(path, f"no ONNX model ({error}).") from None
    del data
    _check_header(proto, path)
    for value in (*proto.graph.input, *proto.graph.output):
        _check_value(value, path)
    folder = _Folder(path) if external_data else None
    if external_data is None:
        folder = _Unread(path)
    for place, tensor in _tensors(proto.graph, "graph"):
        _check_tensor(tensor, path, place, folder)
    return proto


def _check_header(proto: Any, path: str) -> None:
    if not proto.HasField("graph") or not proto.opset_import:
        raise ModelFileError(path, "no ONNX model: it has no graph or no opset.")
    for opset in proto.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version not in OPSETS:
            raise ModelFileError(
                path,
                f"opset {opset.version}; {OPSETS[0]} to {OPSETS[-1]} are read: convert "
                f"it with onnx.version_converter.",
            )
    if proto.functions:
        raise ModelFileError(
            path,
            "functions of the file's own are not read: inline them (onnx.inliner).",
        )


def _check_value(value: Any, path: str) -> None:
    """Inputs and outputs are tensors of numbers."""
    kind = value.type.WhichOneof("value")
    place = f"graph/{value.name}"
    if kind != "tensor_type":
        raise ModelFileError(path, f"a {kind} is not read, tensors are.", place)
    _known_dtype(value.type.tensor_type.elem_type, path, place)


def _known_dtype(number: int, path: str, place: str) -> str:
    name = NAMES.get(number)
    if name is None:
        kinds = onnx_package().TensorProto.DataType
        kind = kinds.Name(number) if number in kinds.values() else number
        raise ModelFileError(path, f"elements of type {kind} are not read.", place)
    return name


def _tensors(graph: Any, place: str) -> Iterable[tuple[str, Any]]:
    """Every tensor of a graph and of the graphs inside, with its place."""
    for tensor in graph.initializer:
        yield f"{place}/{tensor.name}", tensor
    for node in graph.node:
        for attribute in node.attribute:
            inner = f"{place}/{node.name or node.op_type}/{attribute.name}"
            if attribute.HasField("t"):
                yield inner, attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g, inner)


class _Folder:
    """Other files with weights: only of the model's own folder.

    All tensors together take a file twice at most: one weight may have two names, but
    a thousand tensors that name the same gigabyte are there to fill the memory.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._taken: dict[str, int] = {}

    def load(self, tensor: Any, size: int, fail: Any) -> None:
        """Puts `size` bytes of a file into a tensor.

        Args:
            tensor: a TensorProto that says where its bytes are.
            size: of its elements.
            fail: makes the error of a text.
        """
        entries = {e.key: e.value for e in tensor.external_data}
        location = entries.get("location", "")
        place = beside(self._path, location)
        if not location or os.path.isabs(location) or place is None:
            raise fail(f"data at {location!r}, outside of the model's folder.")
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(size)))
        except ValueError:
            raise fail("external data at no place.") from None
        if not os.path.isfile(place):
            raise fail(f"there is no file {location!r}.")
        there = os.stat(place).st_size
        if offset < 0 or length != size or offset + length > there:
            raise fail(f"{location!r} does not hold {size} bytes at {offset}.")
        self._taken[place] = self._taken.get(place, 0) + size
        if self._taken[place] > 2 * there:
            raise fail(f"more tensors lie in {location!r} than its {there} bytes.")
        with open(place, "rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        tensor.data_location = 0
        del tensor.external_data[:]


class _Unread(_Folder):
    """Other files, which are not opened."""

    def load(self, tensor: Any, size: int, fail: Any) -> None:
        """Nothing."""


def _check_tensor(tensor: Any, path: str, place: str, folder: _Folder | None) -> None:
    def fail(problem: str) -> ModelFileError:
        return ModelFileError(path, problem, place)

    if any(n < 0 for n in tensor.dims):
        raise fail(f"a tensor of shape {list(tensor.dims)}.")
    count = math.prod(tensor.dims)
    if count > ELEMENTS:
        raise fail(f"a tensor of {count} elements.")
    name = _known_dtype(tensor.data_type, path, place)
    size = count * ITEMSIZE[name]
    if tensor.data_location == 1:
        if folder is None:
            raise fail(
                "the weights stand in another file: import_model(path, "
                "external_data=True) reads it, if you trust the folder."
            )
        folder.load(tensor, size, fail)
    elif tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size:
            raise fail(f"{len(tensor.raw_data)} bytes for {size}.")
    else:
        found = len(getattr(tensor, _field(name)))
        if found != count:
            raise fail(f"{found} elements for {count}.")


def _field(name: str) -> str:
    """Where a TensorProto keeps elements that are not raw bytes."""
    if name in ("float32", "int64"):
        return {"float32": "float_data", "int64": "int64_data"}[name]
    if name == "float64":
        return "double_data"
    return "uint64_data" if name in ("uint32", "uint64") else "int32_data"


def array_of(tensor: Any) -> np.ndarray:
    """A checked tensor's elements."""
    name = NAMES[tensor.data_type]
    shape = tuple(tensor.dims)
    dtype = np.dtype(know(name))
    if tensor.HasField("raw_data"):
        return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
    values = getattr(tensor, _field(name))
    if name in ("float32", "float64"):  # `np.array` makes them wider on the way
        return np.fromiter(values, dtype, len(values)).reshape(shape)
    if name in ("float16", "bfloat16"):  # bits
        bits = np.fromiter(values, np.int32, len(values))
        return bits.astype(np.uint16).view(dtype).reshape(shape)
    whole = np.array(values, np.uint64 if name == "uint64" else np.int64)
    return whole.astype(dtype).reshape(shape)
