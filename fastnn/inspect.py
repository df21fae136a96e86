# SPDX-License-Identifier: Apache-2.0
"""Shows what is inside of a model file, of any format, without making the model.

python -m fastnn.inspect model.keras
python -m fastnn.inspect --json weights.h5
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from typing import Any

from fastnn.errors import ModelFileError
from fastnn.opset._dtypes import ITEMSIZE
from fastnn.saving.archive import WEIGHTS
from fastnn.saving.formats import weights_of
from fastnn.saving.keras_files import read_config
from fastnn.saving.legacy_configs import modernized
from fastnn.saving.limits import JSON_BYTES, parse_json, reading
from fastnn.saving.opening import read_file
from fastnn.saving.reader import Reader
from fastnn.saving.sharded import ENDING
from fastnn.serialization import unknown_objects

_USAGE = "usage: python -m fastnn.inspect [--json] FILE"


def describe(path: str) -> dict[str, Any]:
    """What a file or folder that fastnn reads holds, as plain data.

    Returns:
        `metadata`, `config` (as in the file; None for weights alone), `layers` (name,
        class, place; of ONNX files the nodes), `unknown` (objects that could not be
        made here), `variables` (path, shape, dtype, bytes, and a `problem` where it
        cannot be read), `attributes`, and `problems` (what the file lacks).

    Raises:
        ModelFileError: when the file does not keep the loader's contract.
    """
    found: dict[str, Any] = {
        "file": path,
        "metadata": {},
        "config": None,
        "attributes": {},
        "layers": [],
        "unknown": [],
        "variables": [],
        "problems": [],
    }
    with reading(path):
        if path.endswith(".onnx"):
            _describe_onnx(path, found)
            return found
        if os.path.isdir(path) or path.endswith(".keras"):
            found["config"], found["metadata"] = read_config(path)
        if path.endswith(".json") and not path.endswith(ENDING):
            found["config"] = parse_json(read_file(path, JSON_BYTES), path, "")
        elif os.path.isdir(path) and not os.path.exists(os.path.join(path, WEIGHTS)):
            found["problems"].append(f"the folder has no {WEIGHTS}")
        else:
            with weights_of(path) as reader:
                _describe_weights(path, reader, found)
        config = found["config"]
        found["layers"] = list(_layers(config))
        unknown = unknown_objects(modernized(config))
        found["unknown"] = [list(pair) for pair in unknown]
    return found


def _describe_weights(path: str, reader: Reader, found: dict[str, Any]) -> None:
    found["attributes"] = _attributes(reader)
    found["metadata"] = found["metadata"] or getattr(reader, "metadata", {})
    text = found["attributes"].pop("model_config", None)
    if text is not None and found["config"] is None:
        found["config"] = parse_json(text, path, "model_config", reader.size)
    found["variables"] = [
        {
            **_variable(stored.path, stored.shape, stored.dtype, stored.nbytes),
            **({"problem": stored.problem} if stored.problem else {}),
        }
        for stored in reader.datasets.values()
    ]


def _describe_onnx(path: str, found: dict[str, Any]) -> None:
    # Names that are no UTF-8 come as bytes: `str`.
    from fastnn.onnx.importing.reading import read_model
    from fastnn.onnx.package import NAMES

    proto = read_model(path, external_data=None)
    graph = proto.graph
    found["metadata"] = {
        "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
        "ir_version": proto.ir_version,
        "opsets": {
            str(one.domain or "ai.onnx"): one.version for one in proto.opset_import
        },
        **{str(one.key): str(one.value) for one in proto.metadata_props},
        "inputs": {str(value.name): _port(value) for value in graph.input},
        "outputs": {str(value.name): _port(value) for value in graph.output},
    }
    found["layers"] = [
        {"name": str(node.name or node.output[0]), "class": str(node.op_type)}
        | {"place": f"graph/{i}", "depth": 0}
        for i, node in enumerate(graph.node)
        if node.name or node.output
    ]
    for tensor in graph.initializer:
        dtype = NAMES[tensor.data_type]
        size = math.prod(tensor.dims) * ITEMSIZE[dtype]
        found["variables"].append(_variable(tensor.name, tensor.dims, dtype, size))


def _port(value: Any) -> str:
    """dtype and shape of an input or output, with the names of open axes."""
    from fastnn.onnx.package import NAMES

    kind = value.type.tensor_type
    axes = (str(d.dim_value or d.dim_param or None) for d in kind.shape.dim)
    return f"{NAMES[kind.elem_type]} ({', '.join(axes)})"


def _variable(path: Any, shape: Any, dtype: Any, size: int) -> dict[str, Any]:
    return {"path": str(path), "shape": list(shape), "dtype": str(dtype), "bytes": size}


def _attributes(reader: Reader) -> dict[str, Any]:
    names = ("keras_version", "backend", "model_config", "training_config")
    values = {name: reader.attribute("", name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _layers(config: Any, place: str = "config", depth: int = 0) -> Iterator[Any]:
    if isinstance(config, dict):
        inner = config.get("config")
        if "class_name" in config and isinstance(inner, dict) and "name" in inner:
            row = {"name": inner["name"], "class": config["class_name"]}
            yield {**row, "place": place, "depth": depth}
            depth += 1
        for key, value in config.items():
            if key not in ("build_config", "compile_config", "inbound_nodes"):
                yield from _layers(value, f"{place}.{key}", depth)
    elif isinstance(config, list):
        for i, value in enumerate(config):
            yield from _layers(value, f"{place}[{i}]", depth)


def report(found: dict[str, Any]) -> str:
    """The same for people."""
    lines = [found["file"]]
    facts = {**found["metadata"], **found["attributes"]}
    facts.pop("training_config", None)
    lines += [f"  {key}: {value}" for key, value in facts.items()]
    lines += [f"  {problem}" for problem in found["problems"]]
    if found["layers"]:
        lines.append("Layers")
        lines += [
            f"  {'  ' * row['depth']}{row['name']} ({row['class']})"
            for row in found["layers"]
        ]
    total = sum(row["bytes"] for row in found["variables"])
    lines.append(f"Variables: {len(found['variables'])}, {total:,} bytes")
    width = max((len(row["path"]) for row in found["variables"]), default=0)
    lines += [
        f"  {row['path']:{width}}  {row['dtype']:9} {tuple(row['shape'])}"
        f"{'  ' + row['problem'] if 'problem' in row else ''}"
        for row in found["variables"]
    ]
    if found["unknown"]:
        lines.append("Not known here (register them, or pass custom_objects)")
        lines += [f"  {place}: {problem}" for place, problem in found["unknown"]]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """0 when the file could be read, 1 when not, 2 for wrong arguments."""
    import json

    paths = [argument for argument in arguments if argument != "--json"]
    if len(paths) != 1 or paths[0].startswith("-"):
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        found = describe(paths[0])
    except (ModelFileError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        print(json.dumps(found, indent=1) if "--json" in arguments else report(found))
        sys.stdout.flush()
    except BrokenPipeError:  # as `| head` does, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
