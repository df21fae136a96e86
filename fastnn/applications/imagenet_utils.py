# SPDX-License-Identifier: Apache-2.0
"""Images as networks of ImageNet want them, and what their 1000 outputs mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.utils import get_file

_MODES = ("caffe", "tf", "torch")
_FORMATS = ("channels_first", "channels_last")
# Of the images of ImageNet: BGR in [0, 255], and RGB in [0, 1].
_MEAN_BGR = (103.939, 116.779, 123.68)
_MEAN_RGB = (0.485, 0.456, 0.406)
_STDDEV_RGB = (0.229, 0.224, 0.225)

_CLASSES = 1000
_INDEX = (
    "https://storage.googleapis.com/download.tensorflow.org/"
    "data/imagenet_class_index.json"
)
_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"


def preprocess_input(
    x: Any, data_format: str | None = None, mode: str = "caffe"
) -> Any:
    """Images with values in [0, 255] as a network was trained with them.

    A NumPy array of floats is written over, as in Keras; pass a copy to keep it.

    Args:
        x: RGB images, (batch, rows, columns, 3) or (rows, columns, 3), or with the
            channels first: an array, a tensor or a symbolic tensor.
        data_format: "channels_last" or "channels_first"; the global setting by default.
        mode: "caffe": BGR, less the mean of ImageNet; "tf": in [-1, 1];
            "torch": in [0, 1], less mean, divided by standard deviation of ImageNet.

    Returns:
        The images, in their own dtype if that is a float, else in floatx().

    Raises:
        ValueError: for an unknown mode or data format.
    """
    if mode not in _MODES:
        raise ValueError(
            f"[preprocess_input] mode must be one of {', '.join(_MODES)}, received "
            f"{mode!r}."
        )
    if data_format is None:
        data_format = config.image_data_format()
    elif data_format not in _FORMATS:
        raise ValueError(
            f"[preprocess_input] data_format must be one of {', '.join(_FORMATS)}, "
            f"received {data_format!r}."
        )
    axis = -1 if data_format == "channels_last" else len(x.shape) - 3
    if isinstance(x, np.ndarray):
        return _in_place(x, axis, mode)
    if not str(x.dtype).startswith(("float", "bfloat")):
        x = ops.cast(x, config.floatx())

    def along(values: tuple[float, ...]) -> Any:
        return ops.convert_to_tensor(_along(values, axis), dtype=str(x.dtype))

    if mode == "tf":
        return x / 127.5 - 1.0
    if mode == "torch":
        return (x / 255.0 - along(_MEAN_RGB)) / along(_STDDEV_RGB)
    return ops.flip(x, axis=axis) - along(_MEAN_BGR)


def _in_place(x: np.ndarray, axis: int, mode: str) -> np.ndarray:
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(config.floatx())
    elif not x.flags.writeable:
        x = x.copy()
    if mode == "tf":
        x /= 127.5
        x -= 1.0
    elif mode == "torch":
        x /= 255.0
        x -= _along(_MEAN_RGB, axis).astype(x.dtype)
        x /= _along(_STDDEV_RGB, axis).astype(x.dtype)
    else:
        x = np.flip(x, axis)
        x -= _along(_MEAN_BGR, axis).astype(x.dtype)
    return x


def _along(values: tuple[float, ...], axis: int) -> np.ndarray:
    """One value per channel, to broadcast with images."""
    return np.reshape(values, (-1,) if axis == -1 else (-1, 1, 1))


def preprocessing(mode: str | None) -> Callable[..., Any]:
    """`preprocess_input` of a network, whose mode is known; None: nothing to do."""

    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return x if mode is None else preprocess_input(x, data_format, mode)

    what = {
        "caffe": "in BGR, less the mean of ImageNet",
        "tf": "scaled to [-1, 1]",
        "torch": "in [0, 1], less mean, divided by standard deviation of ImageNet",
        None: "as they are: the network does it in its first layers",
    }[mode]
    preprocess.__name__ = preprocess.__qualname__ = "preprocess_input"
    preprocess.__doc__ = f"""Images with values in [0, 255], {what}.

    See `fastnn.applications.imagenet_utils.preprocess_input`.
    """
    return preprocess


def decode_predictions(preds: Any, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The most likely classes of ImageNet, by their names.

    Args:
        preds: (batch, 1000) probabilities of a network with its classifier.
        top: how many classes of each image.

    Returns:
        For each image (WordNet's id, name, probability), the most likely first.

    Raises:
        ValueError: for another shape.
        OSError: the file of the classes' names could not be downloaded, it says where
            to put it.
    """
    shape = tuple(np.shape(preds))
    if len(shape) != 2 or shape[1] != _CLASSES:
        raise ValueError(
            "[decode_predictions] takes predictions for the classes of ImageNet, "
            f"(batch, {_CLASSES}); received shape {shape}. A network for other classes "
            "has no names here: use preds.argmax(axis=1)."
        )
    names = _class_names()
    decoded = []
    for row in np.asarray(preds):
        best = row.argsort()[::-1][:top]
        decoded.append([(*names[i], row[i]) for i in best])
    return decoded


@cache
def _class_names() -> list[tuple[str, str]]:
    """(WordNet's id, name) of each class."""
    path = get_file(
        "imagenet_class_index.json",
        _INDEX,
        cache_subdir="models",
        file_hash=_INDEX_MD5,
    )
    index = json.loads(Path(path).read_text(encoding="utf-8"))
    return [tuple(index[str(i)]) for i in range(_CLASSES)]
