# SPDX-License-Identifier: Apache-2.0
"""save_model, load_model, save_weights, load_weights: which format a path names."""

from __future__ import annotations

import os
from typing import Any

from fastnn.errors import NotBuiltError
from fastnn.saving import atomic
from fastnn.saving.limits import reading

_H5 = (".h5", ".hdf5")
_Path = str | os.PathLike[str]


def save_model(
    model: Any,
    filepath: _Path,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Saves a model: its config, weights, compile arguments and optimizer.

    The file appears whole or not at all: it is written beside `filepath`, brought to
    the disk, and renamed.

    Args:
        model: the model.
        filepath: ends with `.keras`, or with `.h5` or `.hdf5` for the older format.
        overwrite: False asks before an existing file is replaced.
        zipped: False writes a new folder with the members of a `.keras` file.
        **kwargs: `include_optimizer=False` leaves out optimizer and compile arguments.

    Raises:
        ValueError: for other endings and arguments.
        SerializationError: when the config holds what cannot be written, such as a
            lambda. The file is not touched then.
    """
    from fastnn.saving import keras_files, legacy_h5

    path = os.fspath(filepath)
    include_optimizer = kwargs.pop("include_optimizer", True)
    kwargs.pop("save_format", None)
    if kwargs:
        raise ValueError(f"[save_model] unknown arguments {sorted(kwargs)}.")
    endings = (".keras", *_H5)
    if (zipped is False) == path.endswith(endings):
        raise ValueError(
            "[save_model] the path must end with .keras (or .h5 for the older format); "
            f"a folder (zipped=False) has no such ending. Received {path!r}, "
            f"zipped={zipped}."
        )
    if zipped is not False and path.endswith(".weights.h5"):
        raise ValueError(
            f"[save_model] {path!r} is a name for weights alone: "
            "model.save_weights(path)."
        )
    if zipped is not False and not atomic.ask(path, overwrite):
        return
    keras_files.warn_unbuilt(model)
    if zipped is False:
        keras_files.write_folder(model, path, include_optimizer)
    elif path.endswith(".keras"):
        keras_files.write_archive(model, path, include_optimizer)
    else:
        legacy_h5.write_h5(model, path, include_optimizer)


def load_model(
    filepath: _Path,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """Loads a model that fastnn, or Keras 2 or 3, has saved.

    A file is never trusted: docs/saving.md says what is checked.

    Args:
        filepath: a `.keras` file or folder, or an HDF5 file with a whole model.
        custom_objects: name -> class or function, beside what is registered.
        compile: whether to compile the model as it was, with its optimizer's state.
        safe_mode: kept for Keras's signature; code in a file is refused either way.

    Raises:
        ModelFileError: naming the file, the place in it, and every object that failed.
    """
    from fastnn.saving import keras_files, legacy_h5

    path = os.fspath(filepath)
    if path.endswith(_H5):
        with reading(path):
            return legacy_h5.read_h5(path, custom_objects, compile)
    with reading(path):
        return keras_files.read_archive(path, custom_objects, compile, safe_mode)


def save_weights(
    model: Any,
    filepath: _Path,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    **kwargs: Any,
) -> None:
    """Saves the weights of a model, and its optimizer's variables.

    Args:
        model: a built model.
        filepath: ends with `.weights.h5`; with `.safetensors` or `.npz`, which Keras
            does not read; or with `.weights.json`, which lists several files.
        overwrite: False asks before an existing file is replaced.
        max_shard_size: GiB that each of several `.weights.h5` files has at most; the
            list of them goes to `.weights.json`.
        **kwargs: `objects_to_skip`, layers or optimizers to leave out.

    Raises:
        NotBuiltError: when there are no weights yet.
        ValueError: for other endings, and variables larger than `max_shard_size`.
    """
    from fastnn.saving.formats import WEIGHTS_ENDINGS, write_weights
    from fastnn.saving.sharded import index_path

    path = os.fspath(filepath)
    skip = kwargs.pop("objects_to_skip", None) or ()
    if kwargs:
        raise ValueError(f"[save_weights] unknown arguments {sorted(kwargs)}.")
    known = WEIGHTS_ENDINGS
    if max_shard_size is not None:
        known = ("weights.json", "weights.h5")
    if not path.endswith(known):
        given = "" if max_shard_size is None else " with max_shard_size"
        raise ValueError(
            f"[save_weights] the path{given} must end with {', '.join(known)}; "
            f"received {path!r}."
        )
    _require_built(model, "save_weights")
    if max_shard_size is not None:
        path = index_path(path)
    if atomic.ask(path, overwrite):
        write_weights(model, path, max_shard_size, skip)


def load_weights(
    model: Any, filepath: _Path, skip_mismatch: bool = False, **kwargs: Any
) -> None:
    """Loads weights into a built model, by the places of its layers.

    Args:
        model: the model.
        filepath: what `save_weights` wrote, in any format; a `.keras` file; or an
            older `.h5` one of a whole model or of weights.
        skip_mismatch: warn of layers that do not fit, and load the others.
        **kwargs: `by_name=True` loads layers of the same names (older files only);
            `objects_to_skip`.

    Raises:
        NotBuiltError: when the model has no weights yet.
        ModelFileError: naming every object that does not fit; the model is unchanged.
    """
    from fastnn.saving import keras_files, legacy_h5
    from fastnn.saving.formats import WEIGHTS_ENDINGS, weights_of

    path = os.fspath(filepath)
    by_name = kwargs.pop("by_name", None)
    skip = kwargs.pop("objects_to_skip", None) or ()
    if kwargs:
        raise ValueError(f"[load_weights] unknown arguments {sorted(kwargs)}.")
    new = path.endswith((".keras", *WEIGHTS_ENDINGS))
    if new and by_name:
        raise ValueError(
            "[load_weights] by_name=True is for older .h5 files, in which weights go "
            f"by the names of layers; received {path!r}."
        )
    if not new and not path.endswith(_H5):
        raise ValueError(
            "[load_weights] the path must end with "
            f"{', '.join(WEIGHTS_ENDINGS)}, .keras or .h5; received {path!r}."
        )
    _require_built(model, "load_weights")
    with reading(path), weights_of(path) as reader:
        if new:
            keras_files.read_model(model, reader, skip_mismatch, skip)
        else:
            legacy_h5.read_layers(model, reader, bool(by_name), skip_mismatch)


def _require_built(model: Any, where: str) -> None:
    if not model.built:
        raise NotBuiltError(
            f"[{where}] model '{model.name}' has no weights yet: call it on data, or "
            "build it, before."
        )


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model that `model.to_json()` described, with new weights, not compiled.

    Large weights are drawn when the whole model has been made. A model of your own with
    more than 4 GiB, or half of the machine's memory: `Sequential.from_config(
    json.loads(text)["config"])` has no such limit.

    Raises:
        ModelFileError: for what is no such description, and for weights of more than
            that, before they are drawn.
    """
    from fastnn.saving.allowance import weights_drawn_last
    from fastnn.saving.building import model_of
    from fastnn.saving.limits import parse_json

    with reading("<json>"), weights_drawn_last():
        config = parse_json(json_string, "<json>", "")
        return model_of(config, custom_objects, "<json>", "")


__all__ = ["load_model", "load_weights", "save_model", "save_weights"]
