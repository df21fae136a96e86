# SPDX-License-Identifier: Apache-2.0
"""Fast or slow: each kernel on one thread beside what this machine can give.

A kernel is timed on its record's typical sample, or on one of the test samples made
large, out of the caches: pointwise ops as vectors, others along every axis. The best
call of each counts, beside the best probe of the session: on a shared machine only
minima can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import numpy as np

from fastnn import _core
from fastnn.autodiff._launch import encode_attrs
from fastnn.opset import OpDef, Spec
from fastnn.opset._opdef import CONTRACT, KERNELLESS, POINTWISE, RANDOM, UPDATE, Sample
from fastnn.opset.gemm import NS_PER_FLOP
from fastnn.selftest.cases import samples
from fastnn.selftest.check import chosen, family_of

STREAM = 1 << 23  # elements of a pointwise operand
STRUCTURED = 1 << 23  # elements of the inputs of other ops together
LONGEST_NS = 30e6  # expected time of one call
SECONDS = 0.08  # spent on one kernel, but not fewer than CALLS
CALLS = 3
Row = dict[str, Any]


def measure(names: Iterable[str] = (), dtype: str = "float32") -> Row:
    """Time kernels.

    Returns:
        `fma_gflops` and `copy_gbs`, the peaks of one thread, and `rows`: `op`,
        `family`, `shape`, `ns`, and `gflops` for contractions, `gbs` for the others,
        with the share `of_peak`.
    """
    home = family_of()
    rows: list[Row] = []
    flops, copy = [_core.fma_peak_gflops()], [_core.copy_bandwidth_gbs()]
    for name, op in chosen(names).items():
        sample = None if op.kind in KERNELLESS else large_sample(op, dtype)
        if sample is None:
            continue
        rows.append({"op": name, "family": home[name]} | _time(op, sample))
        if "gflops" in rows[-1]:
            flops.append(_core.fma_peak_gflops())
        else:
            copy.append(_core.copy_bandwidth_gbs())
    for row in rows:
        flop_bound = "gflops" in row
        rate = row["gflops"] if flop_bound else row["gbs"]
        row["of_peak"] = rate / max(flops if flop_bound else copy)
    return {"fma_gflops": max(flops), "copy_gbs": max(copy), "rows": rows}


def _time(op: OpDef, sample: Sample) -> Row:
    ins, outs = _specs(op, sample)
    inputs = [
        np.broadcast_to(a, op.operand_shape(a.shape, outs[0].shape))
        for a in sample.inputs
    ]
    outputs = [np.zeros(s.shape, s.dtype) for s in outs]
    attrs = encode_attrs(op, sample.attrs)
    best, calls, end = float("inf"), 0, time.perf_counter() + SECONDS
    while calls < CALLS or time.perf_counter() < end:
        began = time.perf_counter_ns()
        _core.launch(op.name, inputs, outputs, attrs, part=(0, 1))
        best = min(best, time.perf_counter_ns() - began)
        calls += 1
    row: Row = {"shape": [list(s.shape) for s in ins], "ns": best}
    if op.kind == CONTRACT:
        # The estimate of a contraction is its floating-point operations in disguise.
        row["gflops"] = _cost(op, ins, outs, sample.attrs) / NS_PER_FLOP / best
    else:
        row["gbs"] = sum(a.nbytes for a in (*sample.inputs, *outputs)) / best
    return row


def large_sample(op: OpDef, dtype: str = "float32") -> Sample | None:
    """The sample to time; None for an op that has none in this dtype."""
    rng = np.random.default_rng(0)
    if op.typical is not None:
        given = op.typical(rng, dtype)
        return Sample(tuple(np.asarray(a) for a in given.inputs), given.attrs)
    small = [
        s
        for s in samples(op, dtype)
        if all(a.size for a in s.inputs) and 0 not in _specs(op, s)[1][0].shape
    ]
    # The largest; pointwise, without broadcasting where there is a choice.
    small.sort(
        key=lambda s: (
            op.kind == POINTWISE and len({a.shape for a in s.inputs}) > 1,
            -sum(a.size for a in s.inputs),
        )
    )
    for sample in small:
        for grown in _enlarged(op, sample):
            try:
                ins, outs = _specs(op, grown)
            except Exception:  # shapes that do not fit together
                continue
            if prod(outs[0].shape) and _cost(op, ins, outs, grown.attrs) < LONGEST_NS:
                return grown
    return small[0] if small else None


def _specs(op: OpDef, sample: Sample) -> tuple[list[Spec], list[Spec]]:
    ins = [Spec(a.shape, a.dtype.name) for a in sample.inputs]
    return ins, list(op.infer(ins, sample.attrs))


def _cost(op: OpDef, ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
    if callable(op.cost):
        return op.cost(ins, outs, attrs)
    return op.cost * sum(prod(s.shape) for s in outs)


def _enlarged(op: OpDef, sample: Sample) -> Iterator[Sample]:
    """Larger versions of a sample, largest first, which need not be valid."""
    widest = max((a.shape for a in sample.inputs), key=prod, default=())
    if op.kind == RANDOM and "shape" in [a.name for a in op.attrs]:
        place = [a.name for a in op.attrs].index("shape")
        attrs = sample.attrs
        for size in (STREAM, STREAM // 16):
            given = (*attrs[:place], (size,), *attrs[place + 1 :])
            yield Sample(sample.inputs, given)
    elif op.kind in (POINTWISE, UPDATE) and widest:
        size = STREAM
        while size > prod(widest):
            yield Sample(
                tuple(
                    np.resize(a, (size,)) if a.shape == widest else a
                    for a in sample.inputs
                ),
                sample.attrs,
            )
            size //= 4
    else:
        axes = max(sum(n > 1 for n in a.shape) for a in sample.inputs)
        room = STRUCTURED / sum(a.size for a in sample.inputs)
        factor = int(room ** (1 / max(axes, 1)))
        while factor > 1:
            yield Sample(
                tuple(
                    np.tile(a, [factor if n > 1 else 1 for n in a.shape])
                    for a in sample.inputs
                ),
                sample.attrs,
            )
            factor = factor * 2 // 3
