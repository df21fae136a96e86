# SPDX-License-Identifier: Apache-2.0
"""Rows of `composite_cases` for fastnn.ops.image, against NumPy and SciPy."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
from composite_cases import FLOATS, Arrays, Case, values

FORMS = ("channels_last", "channels_first")
MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "wrap": "grid-wrap",
    "mirror": "mirror",
    "reflect": "reflect",
}


def images(channels: Any = (1, 2, 3, 5), least: int = 1, low: float = 0) -> Any:
    """Batches of 0 to 2 images (0 is one image without a batch), channels last."""

    def make(rng: Any, dtype: str) -> Arrays:
        batch = int(rng.integers(0, 3))
        shape = (*rng.integers(least, 9, 2), int(rng.choice(channels)))
        shape = (batch, *shape) if batch else shape
        high = 255 if dtype.startswith("int") else 1
        return [values(rng, tuple(map(int, shape)), dtype, low * high, high)]

    return make


def volumes(rng: Any, dtype: str) -> Arrays:
    shape = tuple(int(n) for n in rng.integers((1, 3, 3, 3, 1), (3, 6, 6, 6, 3)))
    return [values(rng, shape if rng.random() < 0.7 else shape[1:], dtype)]


def form(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {"data_format": str(rng.choice(FORMS))}


def formed(function: Any, arrays: Any, options: dict) -> Any:
    """Calls fastnn with the channels where `data_format` wants them, and back.

    An oracle knows nothing of it: it gets channels last, and a batch.
    """
    from fastnn import ops

    x = arrays[0]
    rank = 5 if "3d" in function.__name__ else 4
    known = {key: value for key, value in options.items() if key != "data_format"}
    alike = [a.shape == x.shape for a in arrays]
    if function.__module__ == __name__:  # an oracle
        single = x.ndim < rank
        batches = [
            a[None] if single and like else a
            for a, like in zip(arrays, alike, strict=True)
        ]
        y = function(*batches, **known)
        return y[0] if single else y
    if options["data_format"] == "channels_last":
        return function(*arrays, **options)
    channels = len(x.shape) - rank + 1
    moved = [
        ops.moveaxis(a, -1, channels) if like else a
        for a, like in zip(arrays, alike, strict=True)
    ]
    y = function(*moved, **options)
    return ops.moveaxis(y, channels, -1) if len(y.shape) == len(x.shape) else y


# ---- colours -----------------------------------------------------------------------


def _gray(x: Any) -> Any:
    y = x if x.shape[-1] == 1 else x @ np.array([[0.2989], [0.587], [0.114]])
    return np.trunc(y) if x.dtype.kind == "i" else y


def _pixelwise(function: Any) -> Any:
    def oracle(x: Any) -> Any:
        return np.apply_along_axis(lambda p: np.array(function(*p)), -1, x)

    return oracle


def _rgb_to_hsv(x: Any) -> Any:
    return _pixelwise(colorsys.rgb_to_hsv)(x)


def _hsv_to_rgb(x: Any) -> Any:
    return _pixelwise(colorsys.hsv_to_rgb)(x)


# ---- filters -----------------------------------------------------------------------


def _bell(size: int, sigma: float) -> Any:
    y = np.exp(-((np.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    return y / y.sum()


def _correlated(x: Any, weights: Any, axis: int) -> Any:
    """Along an axis, zeros outside, TensorFlow's place of an even window."""
    low = (len(weights) - 1) // 2
    pads = [(0, 0)] * x.ndim
    pads[axis] = (low, len(weights) - 1 - low)
    view = np.lib.stride_tricks.sliding_window_view(np.pad(x, pads), len(weights), axis)
    return view @ weights


def _blur(x: Any, kernel_size: Any, sigma: Any) -> Any:
    y = _correlated(x, _bell(kernel_size[1], sigma[1]), 1)
    return _correlated(y, _bell(kernel_size[0], sigma[0]), 2)


def _kernel(rng: Any, arrays: Arrays) -> dict[str, Any]:
    sizes = tuple(int(n) for n in rng.integers(1, 6, 2))
    return {"kernel_size": sizes, "sigma": tuple(rng.uniform(0.4, 2, 2).tolist())}


def _sobel(x: Any) -> Any:
    def derivative(d: int, other: int) -> Any:
        y = _correlated(x, np.array([-1.0, 0, 1]), d)
        return _correlated(y, np.array([1.0, 2, 1]), other)

    return np.stack([derivative(1, 2), derivative(2, 1)], -1)


def _two(rng: Any, dtype: str) -> Arrays:
    (x,) = images(least=5)(rng, dtype)
    noise = rng.normal(0, 0.1, x.shape)
    return [x, np.asarray(x + noise, dtype)]


def _similar(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {
        "max_val": float(rng.uniform(0.5, 2)),
        "filter_size": int(rng.integers(1, 6)),
        "filter_sigma": float(rng.uniform(0.5, 2)),
    }


def _ssim(a: Any, b: Any, max_val: float, filter_size: int, filter_sigma: float) -> Any:
    bell = _bell(filter_size, filter_sigma)
    weights = np.outer(bell, bell)

    def cut(x: Any) -> Any:
        size = (filter_size, filter_size)
        return np.lib.stride_tricks.sliding_window_view(x, size, (1, 2))

    def mean(x: Any) -> Any:
        return (x * weights).sum((-2, -1))

    a, b = cut(a), cut(b)
    ma, mb = mean(a), mean(b)
    da, db = a - ma[..., None, None], b - mb[..., None, None]
    c1, c2 = (0.01 * max_val) ** 2, (0.03 * max_val) ** 2
    over = (2 * ma * mb + c1) * (2 * mean(da * db) + c2)
    under = (ma**2 + mb**2 + c1) * (mean(da**2) + mean(db**2) + c2)
    return (over / under).mean((1, 2, 3))


# ---- sampling ----------------------------------------------------------------------


def _rounded(x: Any) -> Any:
    return np.trunc(x + np.copysign(0.5, x))


def _sampled(x: Any, places: Any, order: int, mode: str, fill: float) -> Any:
    ndimage = pytest.importorskip("scipy.ndimage")
    if order == 0:  # SciPy rounds halves to the next, Keras away from zero
        places = _rounded(places)
    y = ndimage.map_coordinates(
        x.astype(float), places, order=order, mode=MODES[mode], cval=fill
    )
    return _rounded(y) if x.dtype.kind == "i" else y


def _grid(rng: Any, dtype: str) -> Arrays:
    rank = int(rng.integers(1, 4))
    x = values(rng, tuple(int(n) for n in rng.integers(1, 6, rank)), dtype, -9, 9)
    where = (rank, *(int(n) for n in rng.integers(1, 5, int(rng.integers(1, 3)))))
    kind = dtype if dtype in FLOATS else "float32"
    places = values(rng, where, kind, -9, 13)
    # Not between two elements: rounding decides nothing there.
    return [x, np.where(np.abs(places % 0.5) < 1e-3, 0.3, places).astype(kind)]


def _beyond(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {
        "order": int(rng.integers(2)),
        "fill_mode": str(rng.choice(list(MODES))),
        "fill_value": int(rng.integers(-3, 4)),
    }


def _map_coordinates(
    x: Any, places: Any, order: int, fill_mode: str, fill_value: float
) -> Any:
    return _sampled(x, places, order, fill_mode, fill_value)


def _interpolation(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {
        "interpolation": str(rng.choice(["nearest", "bilinear"])),
        "fill_value": int(rng.integers(-3, 4)),
    }


def _affine(rng: Any, dtype: str) -> Arrays:
    (x,) = images()(rng, dtype)
    count = x.shape[0] if x.ndim == 4 else 1
    t = np.array([1.0, 0, 0, 0, 1, 0, 0, 0]) + rng.normal(size=(count, 8)) * [
        *(0.3, 0.3, 3, 0.3, 0.3, 3, 0.01, 0.01)
    ]
    t = t[0] if count == 1 and rng.random() < 0.5 else t
    return [x, t.astype(dtype if dtype in FLOATS else "float32")]


def _projected(x: Any, t: Any, interpolation: str, mode: str, fill: float) -> Any:
    n, h, w, c = x.shape
    t = np.broadcast_to(t.reshape(-1, 8).astype(float), (n, 8))
    py, px = np.mgrid[:h, :w]
    out = np.empty(x.shape)
    for i in range(n):
        k = t[i, 6] * px + t[i, 7] * py + 1
        places = np.stack(
            [
                (t[i, 3] * px + t[i, 4] * py + t[i, 5]) / k,
                (t[i, 0] * px + t[i, 1] * py + t[i, 2]) / k,
            ]
        )
        for j in range(c):
            order = 1 if interpolation == "bilinear" else 0
            out[i, ..., j] = _sampled(x[i, ..., j], places, order, mode, fill)
    return out


def _affine_transform(
    x: Any, t: Any, interpolation: str, fill_mode: str, fill_value: float
) -> Any:
    return _projected(x, t, interpolation, fill_mode, fill_value)


def _fill(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return _interpolation(rng, arrays) | {"fill_mode": str(rng.choice(list(MODES)))}


def _quadrangles(rng: Any, dtype: str) -> Arrays:
    (x,) = images(least=3)(rng, dtype)
    lead = x.shape[:1] if x.ndim == 4 and rng.random() < 0.7 else ()
    corners = np.array([[0.0, 0], [0, 6], [7, 0], [7, 7]])
    start = corners + rng.uniform(0, 1, (*lead, 4, 2))
    end = start + rng.uniform(0, 1, start.shape)
    kind = dtype if dtype in FLOATS else "float32"
    return [x, start.astype(kind), end.astype(kind)]


def _perspective(
    x: Any, start: Any, end: Any, interpolation: str, fill_value: float
) -> Any:
    start, end = (p.reshape(-1, 4, 2).astype(float) for p in (start, end))
    every = []
    for s, e in zip(start, end, strict=True):
        rows = []
        for (sx, sy), (ex, ey) in zip(s, e, strict=True):
            rows += [[ex, ey, 1, 0, 0, 0, -sx * ex, -sx * ey]]
            rows += [[0, 0, 0, ex, ey, 1, -sy * ex, -sy * ey]]
        every.append(np.linalg.solve(np.array(rows), s.ravel()))
    return _projected(x, np.array(every), interpolation, "constant", fill_value)


KERNELS: dict[str, Any] = {
    "linear": (1, lambda d: 1 - d),
    "lanczos3": (3, lambda d: np.sinc(d) * np.sinc(d / 3)),
    "lanczos5": (5, lambda d: np.sinc(d) * np.sinc(d / 5)),
    "cubic": (
        2,
        lambda d: np.where(
            d < 1, 1.5 * d**3 - 2.5 * d**2 + 1, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        ),
    ),
}
NAMES = {"bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


def _zoom(rng: Any, dtype: str) -> Arrays:
    x = values(rng, tuple(int(n) for n in rng.integers(1, 8, 4)), dtype)
    kind = dtype if dtype in FLOATS else "float32"
    return [x, values(rng, (2,), kind, 0.3, 3), values(rng, (2,), kind, -2, 2)]


def _resampled(rng: Any, arrays: Arrays) -> dict[str, Any]:
    axes = tuple(int(a) for a in rng.permutation(4)[:2])
    shape = [*arrays[0].shape]
    for a in axes:
        shape[a] = int(rng.integers(1, 9))
    return {
        "output_shape": tuple(shape),
        "spatial_dims": axes,
        "method": str(rng.choice([*KERNELS, *NAMES])),
        "antialias": bool(rng.random() < 0.5),
    }


def _scale_and_translate(
    x: Any,
    scale: Any,
    translation: Any,
    output_shape: Any,
    spatial_dims: Any,
    method: str,
    antialias: bool,
) -> Any:
    radius, kernel = KERNELS[NAMES.get(method, method)]
    for axis, s, t in zip(spatial_dims, scale, translation, strict=True):
        n, m = x.shape[axis], output_shape[axis]
        weights = np.zeros((n, m))
        for o in range(m):
            place = (o + 0.5 - t) / s - 0.5
            if not -0.5 <= place <= n - 0.5:
                continue
            d = np.abs(np.arange(n) - place) / (max(1 / s, 1) if antialias else 1)
            w = np.where(d < radius, kernel(d), 0)
            weights[:, o] = w / w.sum()
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ weights, -1, axis)
    return x


def _zoom_call(function: Any, arrays: Any, options: dict) -> Any:
    x, scale, translation = arrays
    return function(x, scale=scale, translation=translation, **options)


# ---- patches -----------------------------------------------------------------------


def _patch(rank: int) -> Any:
    def options(rng: Any, arrays: Arrays) -> dict[str, Any]:
        size = tuple(int(n) for n in rng.integers(1, 4, rank))
        strides = tuple(int(n) for n in rng.integers(1, 4, rank))
        return {
            "size": size,
            "strides": None if rng.random() < 0.4 else strides,
            "padding": str(rng.choice(["same", "valid"])),
        }

    return options


def _extract(x: Any, size: Any, strides: Any, padding: str) -> Any:
    strides = strides or size
    rank = len(size)
    axes = tuple(range(1, rank + 1))
    if padding == "same":
        pads = [(0, 0)]
        for n, w, s in zip(x.shape[1:-1], size, strides, strict=True):
            total = max((-(-n // s) - 1) * s + w - n, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [*pads, (0, 0)])
    view = np.lib.stride_tricks.sliding_window_view(x, size, axes)
    view = view[(slice(None), *(slice(None, None, s) for s in strides))]
    view = np.moveaxis(view, rank + 1, -1)
    return view.reshape(*view.shape[: rank + 1], -1)


def _patches(x: Any, **options: Any) -> Any:
    return _extract(x, **options)


def _patches_3d(x: Any, **options: Any) -> Any:
    return _extract(x, **options)


def _form_and(options: Any) -> Any:
    return lambda rng, arrays: form(rng, arrays) | options(rng, arrays)


def _image(name: str, oracle: Any, make: Any, options: Any = None, **more: Any) -> Case:
    every = form if options is None else _form_and(options)
    return Case(f"image.{name}", oracle, make, every, **{"call": formed, **more})


CASES = [
    _image("rgb_to_grayscale", _gray, images((1, 3))),
    _image("rgb_to_hsv", _rgb_to_hsv, images((3,)), dtypes=FLOATS),
    _image("hsv_to_rgb", _hsv_to_rgb, images((3,)), dtypes=FLOATS),
    _image("gaussian_blur", _blur, images(), _kernel, dtypes=FLOATS),
    Case(
        "image.sobel_edges",
        _sobel,
        lambda rng, dtype: [values(rng, tuple(rng.integers(1, 8, 4)), dtype)],
    ),
    _image("ssim", _ssim, _two, _similar, dtypes=FLOATS, tol=4096),
    Case("image.map_coordinates", _map_coordinates, _grid, _beyond, tol=512),
    _image("affine_transform", _affine_transform, _affine, _fill, tol=2048),
    _image(
        "perspective_transform",
        _perspective,
        _quadrangles,
        _interpolation,
        tol=4096,
    ),
    Case(
        "image.scale_and_translate",
        _scale_and_translate,
        _zoom,
        _resampled,
        of_ints="float32",
        call=_zoom_call,
        tol=2048,
    ),
    _image("extract_patches", _patches, images(least=3), _patch(2)),
    _image("extract_patches_3d", _patches_3d, volumes, _patch(3)),
]
