# SPDX-License-Identifier: Apache-2.0
"""Shows what is inside of a model file, without making the model.

python -m fastnn.inspect model.keras
python -m fastnn.inspect --json weights.h5
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

from fastnn.errors import ModelFileError
from fastnn.saving.formats import weights_of
from fastnn.saving.keras_files import read_config
from fastnn.saving.legacy_configs import modernized
from fastnn.saving.limits import parse_json, reading
from fastnn.saving.reader import Reader
from fastnn.serialization import unknown_objects

_USAGE = "usage: python -m fastnn.inspect [--json] FILE"


def describe(path: str) -> dict[str, Any]:
    """What a `.keras` or HDF5 file holds, as plain data.

    Returns:
        `metadata`, `config` (as in the file), `layers` (name, class, place), `unknown`
        (objects that could not be made here), `variables` (path, shape, dtype, bytes)
        and `attributes`.

    Raises:
        ModelFileError: when the file does not keep the loader's contract.
    """
    found: dict[str, Any] = {"file": path, "metadata": {}, "config": None}
    with reading(path):
        if os.path.isdir(path) or path.endswith(".keras"):
            found["config"], found["metadata"] = read_config(path)
        with weights_of(path) as reader:
            found["attributes"] = _attributes(reader)
            found["metadata"] = found["metadata"] or getattr(reader, "metadata", {})
            text = found["attributes"].pop("model_config", None)
            if text is not None and found["config"] is None:
                where, size = "model_config", reader.size
                found["config"] = parse_json(text.encode(), path, where, size)
            found["variables"] = [
                {
                    "path": stored.path,
                    "shape": list(stored.shape),
                    "dtype": str(stored.dtype),
                    "bytes": stored.nbytes,
                    **({"problem": stored.problem} if stored.problem else {}),
                }
                for stored in reader.datasets.values()
            ]
    config = found["config"]
    found["layers"] = list(_layers(config))
    unknown = unknown_objects(modernized(config))
    found["unknown"] = [list(pair) for pair in unknown]
    return found


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
    except (ModelFileError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1) if "--json" in arguments else report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
