# SPDX-License-Identifier: Apache-2.0
"""Models from configs of files: names from tables, weights not above the file's."""

from __future__ import annotations

from typing import Any

from fastnn.errors import ModelFileError
from fastnn.saving.allowance import weights_limited
from fastnn.saving.legacy_configs import modernized
from fastnn.saving.reader import Reader
from fastnn.serialization import (
    CustomObjectScope,
    ObjectSharingScope,
    deserialize_keras_object,
    unknown_objects,
)

_SHOWN = 20
# Scalars and seeds that layers make beside what a file of Keras holds.
_SPARE = 1 << 16


def build_model(config: Any, custom_objects: Any, reader: Reader, where: str) -> Any:
    """The model that a config describes, with weights that wait to be loaded.

    Args:
        config: plain data, of any version of Keras.
        custom_objects: name -> class or function.
        reader: of the weights in the file.
        where: place of the config in it.

    Raises:
        ModelFileError: listing every object of the config that is unknown here; for
            weights that are much larger than the file.
    """
    reader.require_stored()
    with weights_limited(reader.total + _SPARE):
        return model_of(config, custom_objects, reader.path, where)


def model_of(config: Any, custom_objects: Any, path: object, where: str) -> Any:
    """The model that a config describes, with new weights; see `build_model`."""
    config = modernized(config)
    with CustomObjectScope(custom_objects):
        unknown = list(unknown_objects(config))
        if unknown:
            raise _unknown(unknown, path, where)
        with ObjectSharingScope():
            model = deserialize_keras_object(config)
    if not hasattr(model, "train_on_batch"):
        one = f"a {type(model).__name__}"
        raise ModelFileError(path, f"it describes no model but {one}.", where)
    return model


def _unknown(
    unknown: list[tuple[str, str]], path: object, where: str
) -> ModelFileError:
    lines = [f"{place}: {problem}" for place, problem in unknown[:_SHOWN]]
    if len(unknown) > _SHOWN:
        lines.append(f"and {len(unknown) - _SHOWN} more.")
    listed = "\n  ".join(lines)
    error = ModelFileError(
        path,
        f"{len(unknown)} objects cannot be made:\n  {listed}\n\n"
        "Classes and functions of your own are found by name only, never imported: "
        "decorate them with @register_keras_serializable(), or pass "
        "custom_objects={name: class}.",
        where,
    )
    error.failures = unknown
    return error
