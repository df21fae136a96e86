# SPDX-License-Identifier: Apache-2.0
"""Images in files and as arrays; files are read and written by Pillow."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import config
from fastnn.errors import ShapeError

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(name: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            f'[{name}] needs Pillow: pip install "fastnn-dl[images]"'
        ) from None
    return Image


def is_first(name: str, data_format: str | None) -> bool:
    chosen = data_format or config.image_data_format()
    if chosen not in ("channels_last", "channels_first"):
        raise ValueError(
            f'[{name}] data_format must be "channels_last" or "channels_first", '
            f"received {data_format!r}"
        )
    return chosen == "channels_first"


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """An array (height, width, 1, 3 or 4) as an image of Pillow.

    Args:
        x: array or tensor, or channels first.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        scale: move the smallest value to 0 and the largest to 255.
        dtype: dtype of the computation, `floatx()` by default.

    Raises:
        ImportError: without Pillow.
        ShapeError: for another rank or number of channels.
    """
    name = "array_to_img"
    image = pillow(name)
    first = is_first(name, data_format)
    a = np.asarray(x, dtype or config.floatx())
    if a.ndim != 3:
        raise ShapeError(f"[{name}] needs an array of rank 3, received {a.shape}")
    a = a.transpose(1, 2, 0) if first else a
    if a.shape[2] not in (1, 3, 4):
        raise ShapeError(f"[{name}] needs 1, 3 or 4 channels, received {a.shape[2]}")
    if scale and a.size:
        a = a - a.min()
        largest = a.max()
        a = (a / largest if largest else a) * 255
    if a.shape[2] > 1:
        return image.fromarray(np.ascontiguousarray(a.astype("uint8")))
    # One channel: 8 bits where they suffice, else 32.
    wide = a.size and a.max() > 255
    return image.fromarray(a[:, :, 0].astype("int32" if wide else "uint8"))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Any:
    """An image of Pillow as an array (height, width, channels).

    Args:
        img: image, or an array of rank 2 or 3.
        data_format: "channels_last" or "channels_first"; None is the configured one.
        dtype: `floatx()` by default.

    Raises:
        ShapeError: for another rank.
    """
    name = "img_to_array"
    first = is_first(name, data_format)
    a = np.asarray(img, dtype or config.floatx())
    if a.ndim not in (2, 3):
        raise ShapeError(f"[{name}] needs an image of rank 2 or 3, received {a.shape}")
    a = a[:, :, None] if a.ndim == 2 else a
    return a.transpose(2, 0, 1) if first else a


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Writes an array (height, width, 1, 3 or 4) as an image file.

    Args:
        path: name, path or open binary file.
        x, data_format, scale: see `array_to_img`.
        file_format: "png", "jpeg", ...; by default what the path ends with.
        **kwargs: passed on to `PIL.Image.Image.save`.
    """
    if file_format is None and isinstance(path, (str, Path)):
        file_format = Path(path).suffix[1:]
    kind = (file_format or "").lower()
    kind = "jpeg" if kind == "jpg" else kind
    img = array_to_img(x, data_format, scale)
    if img.mode == "RGBA" and kind == "jpeg":
        warnings.warn(
            "[save_img] JPEG files have no transparency: the image is saved as RGB",
            stacklevel=2,
        )
        img = img.convert("RGB")
    img.save(path, format=kind or None, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Reads an image file as an image of Pillow.

    Args:
        path: name, path or `io.BytesIO`.
        color_mode: "rgb", "rgba" or "grayscale" (which keeps 16 and 32 bits).
        target_size: (height, width) to resize to.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: cut the middle out in the target's proportions first.

    Raises:
        ImportError: without Pillow.
        TypeError: for a path that is none.
        ValueError: for an unknown color_mode or interpolation.
    """
    name = "load_img"
    image = pillow(name)
    if color_mode not in MODES:
        raise ValueError(
            f"[{name}] color_mode must be one of {', '.join(MODES)}, received "
            f"{color_mode!r}"
        )
    if isinstance(path, io.BytesIO):
        img = image.open(path)
    elif isinstance(path, (str, bytes, Path)):
        # Pillow reads when it needs to: the file is read at once, and closed.
        img = image.open(io.BytesIO(Path(_text(path)).read_bytes()))
    else:
        raise TypeError(
            f"[{name}] path must be a name, a path or io.BytesIO, received "
            f"{type(path).__name__}"
        )
    deep = color_mode == "grayscale" and img.mode in ("I;16", "I")
    if not deep and img.mode != MODES[color_mode]:
        img = img.convert(MODES[color_mode])
    if target_size is None:
        return img
    return _resized(image, img, target_size, interpolation, keep_aspect_ratio)


def _text(path: Any) -> Any:
    return path.decode() if isinstance(path, bytes) else path


def _resized(
    image: Any, img: Any, size: tuple[int, int], interpolation: str, keep: bool
) -> Any:
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"[load_img] interpolation must be one of {', '.join(INTERPOLATIONS)}, "
            f"received {interpolation!r}"
        )
    rows, columns = size
    width, height = img.size
    if (width, height) == (columns, rows):
        return img
    box = None
    if keep:
        h = min(height, width * rows // columns)
        w = min(width, height * columns // rows)
        left, top = (width - w) // 2, (height - h) // 2
        box = (left, top, left + w, top + h)
    method = getattr(image.Resampling, interpolation.upper())
    return img.resize((columns, rows), method, box=box)


__all__ = ["array_to_img", "img_to_array", "load_img", "save_img"]
