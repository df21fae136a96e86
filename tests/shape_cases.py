# SPDX-License-Identifier: Apache-2.0
"""Random shapes for every record: its samples with other sizes, the same in every run.

Where equal sizes of a sample belong together (channels and a bias, rows and their
indices) they stay equal; what `infer` or the reference refuses is drawn again. Ops
whose sizes are computed from each other get random tables for their own samples.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn.opset import OpDef, Spec
from fastnn.opset._matrices import matrices
from fastnn.opset._opdef import HOST, RANDOM, Sample
from fastnn.opset._recurrent import RECURRENT
from fastnn.selftest.cases import samples

COUNT = 20  # shapes of every op and dtype
TRIES = 4000
LARGEST = 4096  # elements of an array: the reference may be a loop
# Static attributes that are sizes.
SIZES = {"shape", "rows", "k", "classes", "batch", "num_samples", "n"}
PLACES = {"indices", "labels", "starts", "perm", "cursor", "pivots", "lengths"}
MATRICES = {"cholesky": "definite", "eigh": "symmetric"}
Rng = np.random.Generator


def dtypes(op: OpDef) -> tuple[str, ...]:
    floats = ("float32", "float64")
    return (*floats, "int32", "int64") if op.integers else floats


# ---- tables of sizes that are computed from each other -------------------------------


def _ints(rng: Rng, low: int, high: int, count: int) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(low, high + 1, count))


def _convolution(rng: Rng) -> tuple:
    """A row of conv.CASES: the output has `out` elements per axis."""
    rank, groups = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    kernel, strides, dilations = (_ints(rng, 1, 3, rank) for _ in range(3))
    pads = _ints(rng, -1, 2, 2 * rank)
    spatial = tuple(
        max((k - 1) * d + 1 - pads[i] - pads[rank + i] + int(rng.integers(0, 7)), 1)
        for i, (k, d) in enumerate(zip(kernel, dilations, strict=True))
    )
    inputs, outputs = (groups * n for n in _ints(rng, 1, 5, 2))
    batch = int(rng.integers(0, 4))
    x = (batch, *spatial, inputs)
    return x, kernel, outputs, strides, dilations, pads, groups


def _depthwise(rng: Rng) -> tuple:
    rank = int(rng.integers(1, 4))
    window, strides, dilation = (_ints(rng, 1, 3, rank) for _ in range(3))
    if max(strides) > 1:  # as Keras: not both
        dilation = (1,) * rank
    spatial = tuple(
        int(rng.integers((w - 1) * d + 1, 9))
        for w, d in zip(window, dilation, strict=True)
    )
    shape = (int(rng.integers(0, 4)), *spatial, int(rng.integers(1, 20)))
    multiplier = int(rng.integers(1, 4))
    padding = str(rng.choice(["same", "valid"]))
    return shape, (*window, multiplier), strides, dilation, padding


def _pooling(rng: Rng) -> tuple:
    rank = int(rng.integers(1, 4))
    window, strides = _ints(rng, 1, 3, rank), _ints(rng, 1, 3, rank)
    spatial = tuple(int(rng.integers(w, 8)) for w in window)
    shape = (int(rng.integers(0, 4)), *spatial, int(rng.integers(1, 20)))
    padding = str(rng.choice(["same", "valid", "adaptive"]))
    if padding == "adaptive":  # windows as large as the largest of them
        strides = tuple(int(rng.integers(1, n + 2)) for n in spatial)
        window = tuple(
            max(-(-(o + 1) * n // m) - o * n // m for o in range(m))
            for n, m in zip(spatial, strides, strict=True)
        )
    return shape, window, strides, padding


def _resizing(rng: Rng) -> tuple:
    n, *sizes, channels = _ints(rng, 1, 12, 6)
    return (n % 3 + 1, *sizes[:2], channels), tuple(sizes[2:])


def _grouped(rng: Rng) -> tuple:
    groups, width = _ints(rng, 1, 5, 2)
    spatial = _ints(rng, 1, 5, int(rng.integers(0, 3)))
    return (int(rng.integers(0, 5)), *spatial, groups * width), groups


def _sequence(rng: Rng) -> tuple:
    batch, time, units = (int(n) for n in rng.integers((-2, 1, 1), (6, 6, 24)))
    return max(batch, 0), time, units


# What an op's own samples take, and a maker of one row of it.
_TABLES: dict[str, tuple[str, Callable[[Rng], tuple]]] = {
    "conv": ("cases", _convolution),
    "depthwise": ("cases", _depthwise),
    "max_pool": ("given", _pooling),
    "average_pool": ("given", _pooling),
    "resize": ("cases", _resizing),
    "group_norm": ("cases", _grouped),
}


def _table(op: OpDef) -> tuple[str, Callable[[Rng], tuple]] | None:
    if op.kind == RECURRENT:
        return "sizes", _sequence
    found = [row for name, row in _TABLES.items() if op.name.startswith(name)]
    return found[0] if found else None


def _of_table(op: OpDef, dtype: str, rng: Rng) -> Iterator[Sample]:
    """One sample of every random row: the epilogues and flags of the rows differ."""
    known: Any = _table(op)
    name, make = known
    while True:
        rows = tuple(make(rng) for _ in range(6))
        options = {name: rows}
        if op.name.startswith("resize"):
            options["methods"] = (str(rng.choice(op.attrs[0].choices)),)
        made: Any = op.samples
        every = list(made(rng, dtype, **options))
        yield from (every[i] for i in rng.permutation(len(every)))


# ---- other sizes in a sample ---------------------------------------------------------


def _sizes(op: OpDef, sample: Sample) -> set[int]:
    found = {n for a in sample.inputs for n in a.shape}
    for attr, value in zip(op.attrs, sample.attrs, strict=True):
        if attr.kind == "static" and attr.name in SIZES:
            found |= set(value) if isinstance(value, tuple) else {value}
    return found - {0, 1}


def _renaming(op: OpDef, sample: Sample, rng: Rng) -> dict[int, int]:
    """A new size for most sizes. Where integers may be places they only grow."""
    places = not PLACES.isdisjoint(op.inputs)
    grow = places or op.kind in (RANDOM, HOST)
    new = {}
    for n in sorted(_sizes(op, sample)):
        low, high = (n, n + (40 if op.kind == RANDOM else 8)) if grow else (1, 23)
        new[n] = n if rng.random() < 0.3 else int(rng.integers(low, high))
        if rng.random() < 0.06 and "starts" not in op.inputs:
            new[n] = 0
    return new


def _attributes(op: OpDef, sample: Sample, new: dict[int, int]) -> tuple:
    def renamed(attr: Any, value: Any) -> Any:
        if attr.kind != "static" or attr.name not in SIZES:
            return value
        if isinstance(value, tuple):
            return tuple(new.get(n, n) for n in value)
        return new.get(value, value)

    values = zip(op.attrs, sample.attrs, strict=True)
    return tuple(renamed(a, v) for a, v in values)


def _values(op: OpDef, i: int, old: Any, shape: tuple, rng: Rng, pool: Any) -> Any:
    """Numbers for input i, of those that the samples have there."""
    if shape == old.shape and not (old.dtype.kind == "f" and old.size):
        return old
    home = op.home.rpartition(".")[2]
    matrix = op.inputs[i] in ("x", "a") and old.dtype.kind == "f"
    if matrix and home in ("linalg", "factorizations"):
        return matrices(rng, shape, old.dtype.name, MATRICES.get(op.name, ""))
    own = old.ravel() if old.dtype.kind != "f" or op.name == "bitcast" else pool[i]
    new = rng.choice(own, shape) if own.size else np.zeros(shape, old.dtype)
    new = np.asarray(new, old.dtype)
    return np.sort(new) if op.inputs[i] == "sorted_sequence" else new


def _fixed(op: OpDef, arrays: list[Any], attrs: tuple, rng: Rng) -> tuple:
    """Attributes that are computed from the shapes."""
    shape = arrays[0].shape
    if op.name == "irfft":
        return (max(2 * shape[-1] - int(rng.integers(1, 3)), 1),)
    if op.name == "reshape":
        factors = [int(n) for n in rng.permutation([*shape, 1])]
        cut = int(rng.integers(0, len(factors)))
        return ((math.prod(factors[:cut]), *factors[cut:]),)
    return attrs


def _other_sizes(op: OpDef, dtype: str, rng: Rng) -> Iterator[Sample]:
    given = list(samples(op, dtype))
    pool = [
        np.concatenate([s.inputs[i].ravel() for s in given])
        if all(s.inputs[i].dtype == given[0].inputs[i].dtype for s in given)
        else np.empty(0)
        for i in range(len(op.inputs))
    ]
    while True:
        sample = given[int(rng.integers(len(given)))]
        new = _renaming(op, sample, rng)
        shapes = [tuple(new.get(n, n) for n in a.shape) for a in sample.inputs]
        if max(math.prod(s) for s in shapes) > LARGEST:
            continue
        arrays = [
            _values(op, i, a, shape, rng, pool)
            for i, (a, shape) in enumerate(zip(sample.inputs, shapes, strict=True))
        ]
        attrs = _fixed(op, arrays, _attributes(op, sample, new), rng)
        yield Sample(tuple(arrays), attrs)


# ---- cases ---------------------------------------------------------------------------


def _taken(op: OpDef, sample: Sample) -> bool:
    """Whether shapes and reference accept the sample."""
    specs = [Spec(a.shape, a.dtype.name) for a in sample.inputs]
    try:
        expected = op.infer(specs, sample.attrs)
        with np.errstate(all="ignore"):
            made = op.ref(*sample.inputs, *sample.attrs)
    except Exception:  # whatever NumPy raises: not a case
        return False
    made = made if isinstance(made, tuple) else (made,)
    return [np.shape(y) for y in made] == [s.shape for s in expected]


def cases(op: OpDef, dtype: str, count: int = COUNT) -> list[Sample]:
    """Up to `count` samples whose shapes and attributes all differ."""
    rng = np.random.default_rng(zlib.crc32(f"shapes/{op.name}/{dtype}".encode()))
    source = (_of_table if _table(op) else _other_sizes)(op, dtype, rng)
    found: dict[Any, Sample] = {}
    for _, sample in zip(range(TRIES), source, strict=False):
        sample = Sample(tuple(np.asarray(a) for a in sample.inputs), sample.attrs)
        key = tuple(a.shape for a in sample.inputs), sample.attrs
        if key not in found and _taken(op, sample):
            found[key] = sample
            if len(found) == count:
                break
    return list(found.values())
