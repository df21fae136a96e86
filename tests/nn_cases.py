# SPDX-License-Identifier: Apache-2.0
"""Rows of `composite_cases` for neural networks, against NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from composite_cases import FLOATS, Arrays, Case, one_axis, several, sizes, values


def torch_of(function: Any) -> Any:
    """An oracle from `function(torch, *tensors, **options)`."""

    def oracle(*arrays: Any, **options: Any) -> Any:
        torch = pytest.importorskip("torch")
        return function(torch, *map(torch.as_tensor, arrays), **options).numpy()

    return oracle


# ---- cross-entropies ---------------------------------------------------------------


def _chances(rng: Any, dtype: str) -> Arrays:
    shape = sizes(rng, int(rng.integers(1, 4)))
    return [values(rng, shape, dtype, 0, 1), values(rng, shape, dtype, 0.05, 0.95)]


def _logits(rng: Any, dtype: str) -> Arrays:
    shape = sizes(rng, int(rng.integers(1, 4)))
    return [values(rng, shape, dtype, 0, 1), values(rng, shape, dtype, -5, 5)]


def _log_sigmoid(x: Any) -> Any:
    return -np.logaddexp(0, -x)


def _log_softmax(x: Any, axis: int) -> Any:
    return x - np.logaddexp.reduce(x, axis=axis, keepdims=True)


def _binary(t: Any, x: Any, from_logits: bool = False) -> Any:
    if from_logits:
        return -t * _log_sigmoid(x) - (1 - t) * _log_sigmoid(-x)
    return -t * np.log(x) - (1 - t) * np.log(1 - x)


def _categorical(t: Any, x: Any, axis: int = -1, from_logits: bool = False) -> Any:
    if from_logits:
        return -np.sum(t * _log_softmax(x, axis), axis)
    shares = np.clip(x / x.sum(axis, keepdims=True), 1e-7, 1 - 1e-7)
    return -np.sum(t * np.log(shares), axis)


def _labels(rng: Any, arrays: Arrays) -> dict[str, Any]:
    x = arrays[0]
    kind = str(rng.choice(["int32", "int64", "uint8"]))
    target = rng.integers(0, x.shape[-1], x.shape[:-1]).astype(kind)
    column = target[..., None] if rng.random() < 0.3 else target
    return {"target": column, "from_logits": bool(rng.random() < 0.5)}


def _sparse(x: Any, target: Any, from_logits: bool) -> Any:
    target = target.reshape(x.shape[:-1]).astype(int)
    hot = (target[..., None] == np.arange(x.shape[-1])).astype(float)
    return _categorical(hot, x, -1, from_logits)


def _first(name: str) -> Any:
    """A call whose only array stands behind the option `name`."""

    def call(function: Any, arrays: Any, options: dict) -> Any:
        rest = dict(options)
        return function(rest.pop(name), *arrays, **rest)

    return call


def _scores(rng: Any, dtype: str) -> Arrays:
    return [values(rng, sizes(rng, int(rng.integers(1, 4))), dtype, 0.1, 5)]


# ---- CTC ---------------------------------------------------------------------------


def _frames(rng: Any, dtype: str) -> Arrays:
    shape = tuple(int(n) for n in rng.integers((1, 4, 2), (4, 9, 6)))
    return [values(rng, shape, dtype)]


def _spelling(rng: Any, arrays: Arrays) -> dict[str, Any]:
    batch, frames, classes = arrays[0].shape
    blank = int(rng.integers(0, classes))
    labels = [c for c in range(classes) if c != blank]
    most = int(rng.integers(1, 3))
    return {
        "target": rng.choice(labels, (batch, most)).astype("int32"),
        "target_length": rng.integers(0, most + 1, batch),
        "output_length": rng.integers(3, frames + 1, batch),
        "mask_index": blank,
    }


def ctc(x: Any, target: Any, target_length: Any, output_length: Any, mask_index: int):
    torch = pytest.importorskip("torch")
    spoken = torch.log_softmax(torch.as_tensor(x), 2).permute(1, 0, 2)
    lengths = torch.as_tensor(output_length), torch.as_tensor(target_length)
    options: Any = {"blank": mask_index, "reduction": "none"}
    return torch.nn.functional.ctc_loss(
        spoken, torch.as_tensor(target), *lengths, **options
    ).numpy()


def _ctc_call(function: Any, arrays: Any, options: dict) -> Any:
    rest = dict(options)
    if function is ctc:
        return function(*arrays, **rest)
    return function(rest.pop("target"), *arrays, **rest)


# ---- attention ---------------------------------------------------------------------


def _attended(rng: Any, dtype: str) -> Arrays:
    batch, t, s, heads, group, size, out = (int(n) for n in rng.integers(1, 5, 7))
    shapes = (batch, t, heads * group, size), (batch, s, heads, size)
    return [values(rng, n, dtype) for n in (*shapes, (batch, s, heads, out))]


def _attention_options(rng: Any, arrays: Arrays) -> dict[str, Any]:
    q, k, _ = arrays
    wide = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])

    def some() -> tuple[int, ...]:
        return tuple(n if rng.random() < 0.6 else 1 for n in wide)

    options: dict[str, Any] = {"is_causal": bool(rng.random() < 0.4)}
    if rng.random() < 0.5:
        options["mask"] = rng.random(some()) < 0.7
    if rng.random() < 0.5:
        options["bias"] = rng.normal(size=some())
    if rng.random() < 0.5:
        options["scale"] = float(rng.uniform(0.2, 2))
    return options | {"flash_attention": [None, True, False][int(rng.integers(3))]}


def attention(q: Any, k: Any, v: Any, **options: Any) -> Any:
    """Row by row from the definition."""
    group = q.shape[2] // k.shape[2]
    k, v = np.repeat(k, group, 2), np.repeat(v, group, 2)
    scale = options.get("scale") or q.shape[-1] ** -0.5
    z = np.einsum("btnh,bsnh->bnts", q, k) * scale + options.get("bias", 0)
    kept = np.broadcast_to(options.get("mask", True), z.shape)
    if options["is_causal"]:
        kept = kept & np.tri(*z.shape[-2:], dtype=bool)
    z = np.where(kept, z, -1e200)
    p = np.exp(z - z.max(-1, keepdims=True))
    return np.einsum("bnts,bsnh->btnh", p / p.sum(-1, keepdims=True), v)


# ---- sparsemax ---------------------------------------------------------------------


def sparsemax(x: Any, axis: int) -> Any:
    """tau by bisection: the sum of max(x - tau, 0) falls from above 1 to 0."""
    high = x.max(axis, keepdims=True)
    low = high - 1
    for _ in range(80):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0)


# ---- windows and blocks ------------------------------------------------------------


def _channels_first(rng: Any, dtype: str) -> Arrays:
    shape = tuple(int(n) for n in rng.integers((0, 1, 7, 7), (3, 4, 11, 11)))
    return [values(rng, shape, dtype)]


def _window(rng: Any, arrays: Arrays) -> dict[str, Any]:
    rows, columns, dilation, low, right, step = (int(n) for n in rng.integers(1, 4, 6))
    side_by_side = rng.random() < 0.3
    return {
        "kernel_size": (rows, columns),
        "dilation": 1 if side_by_side else dilation,
        "padding": 0 if side_by_side else (low - 1, right - 1),
        "stride": (rows, columns) if side_by_side else step,
    }


def _unfold(torch: Any, x: Any, **options: Any) -> Any:
    if not x.shape[0]:  # torch refuses empty batches
        one = torch.zeros((1, *x.shape[1:]), dtype=x.dtype)
        return _unfold(torch, one, **options)[:0]
    return torch.nn.functional.unfold(x.double(), **options)


def _fold_call(function: Any, arrays: Any, options: dict) -> Any:
    """fold of the unfolded: what fold is given has the right sizes then."""
    from fastnn import ops

    x = arrays[0]
    columns = ops.unfold(x, **options)
    size = tuple(x.shape[2:])
    if function is ops.fold:
        return function(columns, size, **options)
    return function(columns.numpy(), size, **options)


def _fold(torch: Any, x: Any, size: Any, **options: Any) -> Any:
    if not x.shape[0]:
        one = torch.zeros((1, *x.shape[1:]), dtype=x.dtype)
        return _fold(torch, one, size, **options)[:0]
    return torch.nn.functional.fold(x.double(), size, **options)


def fold_oracle(columns: Any, size: Any, **options: Any) -> Any:
    torch = pytest.importorskip("torch")
    return _fold(torch, torch.as_tensor(columns), size, **options).numpy()


def _blocky(rng: Any, arrays: Arrays) -> dict[str, Any]:
    form = "channels_first" if rng.random() < 0.5 else "channels_last"
    return {"block_size": 2, "data_format": form}


def _deep(rng: Any, dtype: str) -> Arrays:
    return [values(rng, tuple(4 * int(n) for n in rng.integers(1, 3, 4)), dtype)]


def _by_pixel(x: Any, block_size: int, data_format: str, deeper: bool) -> Any:
    """Element by element."""
    first, b = data_format == "channels_first", block_size
    x = np.moveaxis(x, 1, 3) if first else x
    n, h, w, c = x.shape
    wide = (n, h // b, w // b, c * b * b) if deeper else (n, h * b, w * b, c // b // b)
    y = np.zeros(wide, x.dtype)
    small = y if deeper else x
    d = small.shape[3] // (b * b)
    for i in range(b):
        for j in range(b):
            for k in range(d):
                at = (k * b + i) * b + j if first else (i * b + j) * d + k
                if deeper:
                    y[..., at] = x[:, i::b, j::b, k]
                else:
                    y[:, i::b, j::b, k] = x[..., at]
    return np.moveaxis(y, 3, 1) if first else y


def _psnr(a: Any, b: Any, max_val: float) -> Any:
    return 10 * np.log10(max_val**2 / np.mean((a - b) ** 2))


def _peak(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {"max_val": float(rng.uniform(1, 9))}


CASES = [
    Case("binary_crossentropy", _binary, _chances, dtypes=FLOATS),
    Case(
        "binary_crossentropy",
        _binary,
        _logits,
        lambda rng, arrays: {"from_logits": True},
        dtypes=FLOATS,
    ),
    Case("categorical_crossentropy", _categorical, _chances, one_axis, dtypes=FLOATS),
    Case(
        "categorical_crossentropy",
        _categorical,
        _logits,
        lambda rng, arrays: one_axis(rng, arrays) | {"from_logits": True},
        dtypes=FLOATS,
    ),
    Case(
        "sparse_categorical_crossentropy",
        lambda target, x, from_logits: _sparse(x, target, from_logits),
        _scores,
        _labels,
        dtypes=FLOATS,
        call=_first("target"),
    ),
    Case("ctc_loss", ctc, _frames, _spelling, dtypes=FLOATS, call=_ctc_call, tol=512),
    Case(
        "dot_product_attention",
        attention,
        _attended,
        _attention_options,
        dtypes=FLOATS,
        tol=512,
    ),
    Case("sparsemax", sparsemax, several(1), one_axis, of_ints="float32"),
    Case("psnr", _psnr, several(2), _peak, dtypes=FLOATS),
    Case("unfold", torch_of(_unfold), _channels_first, _window),
    Case("fold", fold_oracle, _channels_first, _window, call=_fold_call),
    Case(
        "depth_to_space",
        lambda x, **options: _by_pixel(x, **options, deeper=False),
        _deep,
        _blocky,
    ),
    Case(
        "space_to_depth",
        lambda x, **options: _by_pixel(x, **options, deeper=True),
        _deep,
        _blocky,
    ),
]
