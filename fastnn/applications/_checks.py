# SPDX-License-Identifier: Apache-2.0
"""The arguments that every network takes, and whether they go together."""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

from fastnn import activations, config
from fastnn.applications._blocks import channel_axis

IMAGENET_CLASSES = 1000


class Options(NamedTuple):
    """The arguments that every network takes."""

    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Any
    pooling: str | None
    classes: int
    classifier_activation: Any
    name: str | None
    include_preprocessing: bool = True


def check(title: str, options: Options) -> None:
    """Raises ValueError for weights, classes, activations that do not go together."""
    weights, classes = options.weights, options.classes
    if weights is None:
        return
    if weights != "imagenet" and not _is_file(weights):
        raise ValueError(
            f"[{title}] weights must be None (random), 'imagenet', or the path of a "
            f"file that exists; received {weights!r}."
        )
    if not options.include_top:
        return
    if weights == "imagenet" and classes != IMAGENET_CLASSES:
        raise ValueError(
            f"[{title}] weights='imagenet' with include_top=True knows "
            f"{IMAGENET_CLASSES} classes, received classes={classes}. For your own "
            "classes take include_top=False and add a Dense layer, or weights=None."
        )
    chosen = activations.get(options.classifier_activation)
    if chosen not in (activations.softmax, activations.linear):
        raise ValueError(
            f"[{title}] trained weights go with classifier_activation 'softmax' or "
            f"None, received {options.classifier_activation!r}."
        )


def _is_file(weights: Any) -> bool:
    return isinstance(weights, (str, os.PathLike)) and os.path.exists(weights)


def image_shape(
    title: str, options: Options, size: int, smallest: int
) -> tuple[int | None, ...]:
    """Shape of one image: the given one if it can be, else the usual one.

    Args:
        title: of the network.
        options: what the caller gave.
        size: usual rows and columns.
        smallest: the fewest.

    Raises:
        ValueError: for a shape that cannot be.
    """
    given, trained = options.input_shape, options.weights == "imagenet"
    given = None if given is None else tuple(given)
    channels = 3
    if not trained and given and len(given) == 3:
        channels = given[channel_axis() - 1]
        if channels not in (1, 3):
            warnings.warn(
                f"[{title}] usually takes images with 1 or 3 channels; input_shape "
                f"{given} has {channels}.",
                stacklevel=5,
            )
    usual = placed(size, size, channels)
    if trained and options.include_top and given not in (None, usual):
        raise ValueError(
            f"[{title}] include_top=True with weights='imagenet' needs "
            f"input_shape={usual}, received {given}."
        )
    if not given:
        return usual if options.include_top else placed(None, None, 3)
    _check_given(title, given, trained, smallest)
    if options.include_top and None in given:
        raise ValueError(
            f"[{title}] include_top=True needs an input_shape without None, received "
            f"{given}."
        )
    return given


def _check_given(title: str, given: Any, trained: bool, smallest: int) -> None:
    if len(given) != 3:
        raise ValueError(
            f"[{title}] input_shape must be a tuple of three integers, received "
            f"{given}."
        )
    axis = channel_axis() - 1
    if trained and given[axis] != 3:
        raise ValueError(
            f"[{title}] weights='imagenet' needs images with 3 channels, received "
            f"input_shape={given}."
        )
    check_size(title, given, smallest)


def check_size(title: str, shape: Any, smallest: int) -> None:
    """Raises ValueError for images that are too small."""
    if any(n is not None and n < smallest for n in rows_and_columns(shape)):
        raise ValueError(
            f"[{title}] input size must be at least {smallest}x{smallest}, received "
            f"input_shape={tuple(shape)}."
        )


def placed(rows: Any, columns: Any, channels: Any) -> tuple[int | None, ...]:
    """Shape of an image with its channels where they belong."""
    if config.image_data_format() == "channels_first":
        return channels, rows, columns
    return rows, columns, channels


def rows_and_columns(shape: Any) -> tuple[int | None, int | None]:
    """The sizes of an image's shape that are not channels."""
    rows, columns = [n for i, n in enumerate(shape) if i != channel_axis() - 1]
    return rows, columns
