# SPDX-License-Identifier: Apache-2.0
"""Every op on 20 random shapes per dtype: values, layouts, NaN, infinity, emptiness.

Kernels are compared with their records' references in float64. What runs for a host op
is its reference, so those are compared with `host_oracles`.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from host_oracles import ORACLES
from op_cases import LAYOUTS, OPS, assert_close, reference, run, widens
from shape_cases import COUNT, cases, dtypes

from fastnn.opset._opdef import HOST, RANDOM, Sample, Spec

PAIRS = [(name, dtype) for name, op in OPS.items() for dtype in dtypes(op)]
EACH = pytest.mark.parametrize(("name", "dtype"), PAIRS)
FLOATS = [(name, dtype) for name, dtype in PAIRS if dtype.startswith("float")]

# Ops with less shapes, and how many there are.
FEW: dict[str, tuple[int, str]] = {}
# Ops that have nothing to say about no elements.
NEVER_EMPTY = {"simple_rnn_grad": "drawn with one row or more"}
# What differs where numbers are not finite, and why.
_MERGED = "an infinity makes the mean NaN too: blocks are merged by differences"
_ZEROS = "the reference multiplies zeros between and around the numbers"
_ORDER = "sums of products are taken apart: infinities meet in other places"
NOT_FINITE = {
    **dict.fromkeys(("moments", "batch_norm", "group_norm"), _MERGED),
    **dict.fromkeys(
        ("conv_transpose", "conv_grad_input", "resize", "resize_grad"), _ZEROS
    ),
    **dict.fromkeys(
        ("batch_norm_grad", "group_norm_grad", "lstm_grad", "simple_rnn_grad"), _ORDER
    ),
    **dict.fromkeys(("ftrl", "rmsprop_momentum", "rmsprop_centered_momentum"), _ORDER),
}
# Inputs that stay finite: order and scales that kernels take out of sums and products.
FINITE = {"sorted_sequence", "u", "r", "scale", "variance", "lr", "step", "product"}

known = cache(lambda name, dtype: cases(OPS[name], dtype))


def _message(name: str, sample: Sample) -> str:
    return f"{name} {[(a.shape, a.dtype.name) for a in sample.inputs]} {sample.attrs}"


def _without_elements(op: Any, sample: Sample) -> bool:
    """Whether an input or output has none; a bias of that size is no bias."""
    specs = [Spec(a.shape, a.dtype.name) for a in sample.inputs]
    outputs = op.infer(specs, sample.attrs)
    pairs = zip((*op.inputs, *op.outputs), (*specs, *outputs), strict=True)
    return any(0 in spec.shape for name, spec in pairs if name != "b")


def _compare(name: str, sample: Sample, inputs: tuple[Any, ...]) -> None:
    op, message = OPS[name], _message(name, sample)
    actual = run(op, inputs, sample.attrs)
    if name not in ORACLES:
        expected = reference(op, sample, widen=widens(op))
        for a, e in zip(actual, expected, strict=True):
            assert_close(a, e, op, message)
        return
    wide = [a.astype("float64") if widens(op) else a for a in sample.inputs]
    for a, e in ORACLES[name](wide, sample.attrs, actual):
        assert_close(a.astype(actual[0].dtype), np.asarray(e), op, message)


def test_host_ops_have_oracles_of_their_own() -> None:
    hosts = {name for name, op in OPS.items() if op.kind == HOST}
    assert hosts - set(ORACLES) == {"ctc_beam_search", "pivots_to_order"}


@pytest.mark.parametrize("name", OPS)
def test_every_dtype_has_enough_shapes(name: str) -> None:
    least = FEW[name][0] if name in FEW else COUNT
    found = {dtype: known(name, dtype) for dtype in dtypes(OPS[name])}
    assert {dtype: len(every) for dtype, every in found.items()} == dict.fromkeys(
        found, least
    )
    empty = any(_without_elements(OPS[name], s) for s in found["float32"])
    assert empty != (name in NEVER_EMPTY)


@EACH
def test_values_are_the_references(name: str, dtype: str) -> None:
    for i, sample in enumerate(known(name, dtype)):
        layout = (np.asarray, *LAYOUTS)[i % 4]
        _compare(name, sample, tuple(layout(a) for a in sample.inputs))


@pytest.mark.parametrize(("name", "dtype"), FLOATS)
def test_what_is_not_finite_is_the_references(name: str, dtype: str) -> None:
    op = OPS[name]
    if name in NOT_FINITE or op.kind in (HOST, RANDOM):
        pytest.skip(NOT_FINITE.get(name, "the reference runs, or bits decide"))
    rng = np.random.default_rng(zlib.crc32(f"special/{name}/{dtype}".encode()))
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)

    def mixed(a: Any) -> Any:
        if a.dtype.kind != "f":
            return a
        where = rng.random(a.shape) < 0.15
        return np.where(where, rng.choice(special, a.shape), a).astype(a.dtype)

    for sample in known(name, dtype):
        pairs = zip(op.inputs, sample.inputs, strict=True)
        arrays = (a if n in FINITE else mixed(a) for n, a in pairs)
        given = Sample(tuple(arrays), sample.attrs)
        _compare(name, given, given.inputs)
