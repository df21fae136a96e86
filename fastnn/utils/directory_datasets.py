# SPDX-License-Identifier: Apache-2.0
"""Data sets of the images, texts or sounds in a folder."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn.errors import FastnnError, ShapeError
from fastnn.structures.ragged_tensor import RaggedTensor
from fastnn.structures.string_tensor import StringTensor, object_array
from fastnn.utils.folders import datasets, request_of
from fastnn.utils.images import MODES, img_to_array, load_img

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")


class AudioFileError(FastnnError, ValueError):
    """A file is no WAV file of plain samples."""


def _checked(where: str, format: str) -> str:
    if format not in ("tf", "grain"):
        raise ValueError(
            f'[{where}] format must be "tf" or "grain", received {format!r}.'
        )
    return where


# ---- images ------------------------------------------------------------------------


class _Images:
    """Reads images and brings them to one size."""

    def __init__(self, where: str, color_mode: str, size: Any, **options: Any) -> None:
        self.color_mode = color_mode
        self.size = _check_size(where, size)
        self.options = options
        for name, value, known in (
            ("color_mode", color_mode, MODES),
            ("interpolation", options["interpolation"], _INTERPOLATIONS),
        ):
            if value not in known:
                raise ValueError(
                    f"[{where}] {name} must be one of {', '.join(known)}, received "
                    f"{value!r}."
                )
        if options["crop_to_aspect_ratio"] and options["pad_to_aspect_ratio"]:
            raise ValueError(
                f"[{where}] only one of crop_to_aspect_ratio and pad_to_aspect_ratio "
                "can be true."
            )

    def batch(self, paths: list[str]) -> np.ndarray:
        """float32 (count, height, width, channels), or channels first."""
        return np.stack([self._read(path) for path in paths])

    def _read(self, path: str) -> np.ndarray:
        image = img_to_array(
            load_img(path, self.color_mode), self.options["data_format"], "float32"
        )
        return np.asarray(ops.image.resize(image, self.size, **self.options).numpy())


def _check_size(where: str, size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise ValueError(
            f"[{where}] image_size must be (height, width), received {size!r}."
        )
    return size[0], size[1]


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the images in a folder, with a folder for each class.

    Args:
        directory: the folder; images end with bmp, gif, jpeg, jpg or png.
        labels: "inferred": a folder per class; a list of integers in the order of the
            paths; None: images only.
        label_mode: "int": int32 (batch,); "binary": float32 (batch, 1); "categorical":
            float32 (batch, classes); None: images only.
        class_names: the folders to use, in another order.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: images in a batch; None: one by one, without batches.
        image_size, interpolation, data_format: see `ops.image.resize`.
        shuffle, seed: random order, another one each epoch; else that of the paths.
        validation_split: share of the files kept for validation.
        subset: "training", "validation", or "both" for a list of two data sets.
        follow_links: enter folders that are links.
        crop_to_aspect_ratio, pad_to_aspect_ratio: do not distort: cut, or add borders.
        format: "tf" or "grain"; it makes no difference.
        verbose: say how many files there are.

    Returns:
        PyDataset of float32 images in 0..255, (batch, height, width, channels), or of
        (images, labels), with `class_names` and `file_paths`.

    Raises:
        FileNotFoundError: there is no such folder.
        ImportError: without Pillow.
        ValueError: for arguments of other forms, or a folder without images.
    """
    reader = _Images(
        where := _checked("image_dataset_from_directory", format),
        color_mode,
        image_size,
        interpolation=interpolation.lower(),
        crop_to_aspect_ratio=crop_to_aspect_ratio,
        pad_to_aspect_ratio=pad_to_aspect_ratio,
        data_format=data_format or config.image_data_format(),
    )
    return datasets(request_of(where, _IMAGES, locals()), reader)


def smart_resize(
    x: Any,
    size: Any,
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
    **kwargs: Any,
) -> Any:
    """The middle of an image in the proportions of `size`, resized to it.

    Args:
        x: (height, width, channels) or (batch, height, width, channels), or channels
            first.
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        data_format: "channels_last" or "channels_first".
        **kwargs: `backend_module`, which Keras needs, is ignored.

    Returns:
        An array for an array, else a tensor.

    Raises:
        ShapeError: (a ValueError) for another rank.
        ValueError: for a size that is none.
    """
    kwargs.pop("backend_module", None)
    if kwargs:
        raise TypeError(f"[smart_resize] received unknown arguments: {list(kwargs)}")
    if len(size) != 2:
        raise ValueError(f"[smart_resize] size must be (height, width), not {size!r}.")
    shape = tuple(x.shape)
    if len(shape) not in (3, 4):
        raise ShapeError(
            "[smart_resize] needs an image (height, width, channels) or a batch of "
            f"them, received shape {shape}."
        )
    resized = ops.image.resize(
        x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format
    )
    return resized.numpy() if isinstance(x, np.ndarray) else resized


# ---- texts -------------------------------------------------------------------------


class _Texts:
    """Reads texts: tensors of bytes, or lists of str."""

    def __init__(self, max_length: int | None, as_tensors: bool) -> None:
        self.max_length = max_length
        self.as_tensors = as_tensors

    def batch(self, paths: list[str]) -> Any:
        """One string per file."""
        found = [Path(path).read_bytes() for path in paths]
        if self.as_tensors:
            cut = [text[: self.max_length] for text in found]
            return StringTensor(object_array(cut, (len(cut),)))
        return [text.decode("utf-8")[: self.max_length] for text in found]


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """A data set of the text files (`.txt`) in a folder, with a folder for each class.

    Args:
        max_length: longer texts are cut: bytes for "tf", characters for "grain".
        format: "tf": string tensors of bytes (batch,); "grain": lists of str.
        directory, labels, label_mode, class_names, batch_size, shuffle, seed,
            validation_split, subset, follow_links, verbose: see
            `image_dataset_from_directory`.

    Returns:
        A PyDataset of texts, or of (texts, labels), with `class_names` and
        `file_paths`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: for arguments of other forms, or a folder without texts.
    """
    where = _checked("text_dataset_from_directory", format)
    request = request_of(where, (".txt",), locals())
    return datasets(request, _Texts(max_length, format == "tf"))


# ---- sounds ------------------------------------------------------------------------


def read_wav(path: str) -> tuple[np.ndarray, int]:
    """(float32 (samples, channels) in -1..1, samples per second) of a WAV file.

    Raises:
        AudioFileError: it is no WAV file of 8, 16, 24 or 32 bits.
    """
    try:
        with wave.open(path, "rb") as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise AudioFileError(
            f"[read_wav] {path} is no WAV file of plain (PCM) samples: {error}"
        ) from error
    if width == 1:
        samples = np.frombuffer(data, "uint8").astype("float32") - 128
    elif width == 3:
        raw = np.zeros((len(data) // 3, 4), "uint8")
        raw[:, 1:] = np.frombuffer(data, "uint8").reshape(-1, 3)
        samples = (raw.view("<i4")[:, 0] >> 8).astype("float32")
    else:
        samples = np.frombuffer(data, f"<i{width}").astype("float32")
    return samples.reshape(-1, channels) / np.float32(2 ** (8 * width - 1)), rate


class _Sounds:
    """Reads WAV files, and brings them to one rate and length."""

    def __init__(self, rate: int | None, length: int | None, ragged: bool) -> None:
        self.rate = rate
        self.length = length
        self.ragged = ragged

    def batch(self, paths: list[str]) -> Any:
        """float32 (count, samples, channels), as long as the longest of them."""
        sounds = [self._read(path) for path in paths]
        if self.ragged:
            lengths = [len(sound) for sound in sounds]
            return RaggedTensor.from_row_lengths(np.concatenate(sounds), lengths)
        length = self.length or max(map(len, sounds))
        padded = np.zeros((len(sounds), length, sounds[0].shape[1]), "float32")
        for row, sound in zip(padded, sounds, strict=True):
            row[: len(sound)] = sound[:length]
        return padded

    def _read(self, path: str) -> np.ndarray:
        sound, rate = read_wav(path)
        if self.rate is None or rate == self.rate:
            return sound
        try:
            from scipy.signal import resample_poly
        except ImportError:
            raise ImportError(
                "[audio_dataset_from_directory] sampling_rate needs SciPy: "
                'pip install "fastnn-dl[scipy]"'
            ) from None
        return np.asarray(resample_poly(sound, self.rate, rate), "float32")


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """A data set of the sounds (`.wav`) in a folder, with a folder for each class.

    Args:
        sampling_rate: samples per second to resample to (with SciPy).
        output_sequence_length: samples per sound: longer ones are cut, shorter ones
            filled up with zeros. By default as many as the longest of the batch has.
        ragged: ragged tensors, each sound with its own length.
        directory, labels, label_mode, class_names, batch_size, shuffle, seed,
            validation_split, subset, follow_links, verbose: see
            `image_dataset_from_directory`.

    Returns:
        A PyDataset of float32 (batch, samples, channels) in -1..1, or of
        (sounds, labels), with `class_names` and `file_paths`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: for arguments of other forms, or a folder without sounds.
    """
    where = "audio_dataset_from_directory"
    if ragged and output_sequence_length is not None:
        raise ValueError(
            f"[{where}] only one of ragged and output_sequence_length can be given."
        )
    if sampling_rate is not None and (
        not isinstance(sampling_rate, int) or sampling_rate <= 0
    ):
        raise ValueError(
            f"[{where}] sampling_rate must be a positive integer, received "
            f"{sampling_rate!r}."
        )
    request = request_of(where, (".wav",), locals())
    made = datasets(request, _Sounds(sampling_rate, output_sequence_length, ragged))
    return tuple(made) if isinstance(made, list) else made


__all__ = [
    "audio_dataset_from_directory",
    "image_dataset_from_directory",
    "text_dataset_from_directory",
]
