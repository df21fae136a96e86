# SPDX-License-Identifier: Apache-2.0
"""`.keras` archives: a model's config, compile arguments, variables and optimizer."""

from __future__ import annotations

import os
from typing import Any

from fastnn.errors import ModelFileError, warn_user
from fastnn.saving import assets, atomic, limits
from fastnn.saving.archive import (
    CONFIG,
    METADATA,
    WEIGHTS,
    ArchiveReader,
    ArchiveWriter,
)
from fastnn.saving.building import build_model
from fastnn.saving.formats import opened, weights_in, weights_of
from fastnn.saving.opening import read_file
from fastnn.saving.reader import Reader
from fastnn.saving.variables import read_variables, size_of, write_variables
from fastnn.saving.windows import Window, new_hdf5, write_hdf5
from fastnn.serialization import ObjectSharingScope, serialize_keras_object

# What the files say they were written by: the version whose format they have.
KERAS_VERSION = "3.15.0"


def describe(model: Any, include_optimizer: bool = True) -> dict[str, bytes]:
    """The JSON members of an archive."""
    import json
    from datetime import datetime

    with ObjectSharingScope():
        config = serialize_keras_object(model)
    if not include_optimizer:
        config["compile_config"] = None
    config.setdefault("build_config", None)
    from fastnn import __version__

    metadata = {
        "keras_version": KERAS_VERSION,
        "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "fastnn_version": __version__,
    }
    return {
        METADATA: json.dumps(metadata).encode(),
        CONFIG: json.dumps(config).encode(),
    }


def write_archive(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes a `.keras` file in place of what is there."""
    skip = () if include_optimizer else (model.optimizer,)
    members = describe(model, include_optimizer)

    def write(handle: int, start: int) -> Window:
        return write_hdf5(
            handle, start, lambda file: write_variables(model, file, skip), True
        )

    with atomic.replacing(path) as temporary:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            archive = ArchiveWriter(handle)
            for name, data in members.items():
                archive.add(name, data)
            archive.add_written(WEIGHTS, write, size_of(model))
            assets.add_members(model, archive)
            archive.finish()
        finally:
            os.close(handle)


def write_folder(model: Any, path: str, include_optimizer: bool = True) -> None:
    """Writes the members of an archive as files of a new folder.

    Raises:
        FileExistsError: when there is something: a folder cannot be replaced at once.
    """
    import tempfile

    parent = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) and not os.listdir(path):
        os.rmdir(path)
    if os.path.lexists(path):
        raise FileExistsError(
            f"[save_model] {path} exists, and a folder cannot be replaced in one step: "
            "remove it first, or save to a .keras file."
        )
    temporary = tempfile.mkdtemp(prefix=f".{os.path.basename(path)}.tmp-", dir=parent)
    for name, data in describe(model, include_optimizer).items():
        atomic.write(os.path.join(temporary, name), data)
    skip = () if include_optimizer else (model.optimizer,)
    new_hdf5(
        os.path.join(temporary, WEIGHTS),
        lambda file: write_variables(model, file, skip),
    )
    assets.write_folder(model, temporary)
    os.chmod(temporary, 0o755)
    os.rename(temporary, path)
    atomic.synchronize(parent)


def read_config(path: str) -> tuple[Any, Any]:
    """(config, metadata) of a `.keras` archive or folder, as plain data."""
    if not os.path.isdir(path):
        with opened(path) as handle:
            return _config_in(handle, path)
    texts: dict[str, bytes] = {}
    for name in (CONFIG, METADATA):
        member = os.path.join(path, name)
        if os.path.exists(member):
            texts[name] = read_file(member, limits.JSON_BYTES)
        elif name == CONFIG:
            raise ModelFileError(path, "the folder has no such file.", name)
    weights = os.path.join(path, WEIGHTS)  # may be missing: the config is read alone
    size = os.path.getsize(weights) if os.path.exists(weights) else 0
    return _parsed(texts, path, size)


def _config_in(handle: int, path: str) -> tuple[Any, Any]:
    with ArchiveReader(path, handle) as archive:
        texts = {
            name: archive.read(name, limits.JSON_BYTES, limits.DEFLATED_JSON)
            for name in (CONFIG, METADATA)
            if name == CONFIG or name in archive.members
        }
    return _parsed(texts, path, os.fstat(handle).st_size)


def _parsed(texts: dict[str, bytes], path: str, size: int) -> tuple[Any, Any]:
    parsed = {
        name: limits.parse_json(texts.pop(name), path, name, size)
        for name in list(texts)
    }
    return parsed[CONFIG], parsed.get(METADATA, {})


def read_archive(path: str, custom_objects: Any, compile: bool, safe_mode: bool) -> Any:
    """The model of a `.keras` archive or folder.

    An archive is opened once: one that a save replaces meanwhile is read as it was.
    """
    if os.path.isdir(path):
        config, _ = read_config(path)
        with weights_of(path) as reader:
            return _model_in(config, reader, None, path, custom_objects, compile)
    with opened(path) as handle:
        config, _ = _config_in(handle, path)
        with weights_in(handle, path) as reader:
            return _model_in(config, reader, handle, path, custom_objects, compile)


def _model_in(
    config: Any,
    reader: Reader,
    handle: int | None,
    path: str,
    custom_objects: Any,
    compile: bool,
) -> Any:
    if not isinstance(config, dict):
        raise ModelFileError(path, "it describes no model.", CONFIG)
    if not compile:
        config["compile_config"] = None
    model = build_model(config, custom_objects, reader, CONFIG)
    read_model(model, reader)
    assets.load(model, path, handle, reader)
    return model


def read_model(
    model: Any, reader: Reader, skip_mismatch: bool = False, skip: Any = ()
) -> None:
    """Loads the variables, and those of the optimizer when there is one."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built and reader.names("optimizer/vars"):
        model._build_optimizer()
    read_variables(model, reader, skip_mismatch, skip)


def warn_unbuilt(model: Any) -> None:
    """Warns of a model without weights."""
    if not model.built:
        warn_user(
            f"[save_model] '{model.name}' is not built: the file will hold no weights. "
            "Call the model on data, or build it, before."
        )
