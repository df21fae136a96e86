# SPDX-License-Identifier: Apache-2.0
"""Kernels and records describe the same ops, completely."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from op_cases import DIFFERENTIABLE, KERNEL_OPS, OPS, samples

from fastnn import _core
from fastnn.autodiff._tape import apply, set_context_class
from fastnn.autodiff.grad import Context, GradientTape
from fastnn.autodiff.tensor import Tensor
from fastnn.opset import Spec, _dtypes
from fastnn.opset._opdef import VIEW

KERNELS = {row["name"]: row for row in _core.kernels()}


def test_every_kernel_has_a_record_and_every_record_a_kernel() -> None:
    assert set(KERNELS) == set(KERNEL_OPS)


@pytest.mark.parametrize("name", KERNEL_OPS)
def test_arity_and_attributes_agree(name: str) -> None:
    op, row = OPS[name], KERNELS[name]
    assert len(row["reads"]) == len(op.inputs)
    assert row["n_out"] == len(op.outputs)
    passed = [a.name for a in op.attrs if a.kind != "static"]
    assert row["attrs"].split() == passed


@pytest.mark.parametrize("name", OPS)
def test_record_is_complete(name: str) -> None:
    op = OPS[name]
    assert op.doc, "a record says what the op computes"
    assert callable(op.ref)
    assert op.tol.float32 >= op.tol.float64 >= 0
    assert sum(1 for _ in samples(op, "float32")) >= 2
    assert set(op.saves) <= set(op.inputs) | set(op.outputs)
    assert len(op.inplace) <= len(op.outputs)
    for j in op.inplace:
        assert j < len(op.inputs)
    if op.kind == VIEW:
        assert len(op.inputs) == len(op.outputs) == 1


@pytest.mark.parametrize("name", OPS)
def test_ops_from_floats_to_floats_have_a_gradient_or_say_that_they_have_none(
    name: str,
) -> None:
    op = OPS[name]
    smooth = False
    for sample in samples(op, "float32"):
        ins = [Spec(a.shape, a.dtype.name) for a in sample.inputs]
        outs = op.infer(ins, sample.attrs)
        smooth |= any(_dtypes.is_float(s.dtype) for s in ins) and any(
            _dtypes.is_float(s.dtype) for s in outs
        )
    if op.differentiable:
        assert op.vjp is not None or not smooth
    else:
        assert op.vjp is None
        assert smooth, "an op without float inputs and outputs need not say so"


class _Watching(Context):
    """A context that notes which saved values the vjp reads."""

    names: ClassVar[frozenset[str]] = frozenset()
    touched: ClassVar[set[str]] = set()

    def __getattribute__(self, name: str) -> object:
        if name in _Watching.names:
            _Watching.touched.add(name)
        return super().__getattribute__(name)


@pytest.fixture
def _watching():
    set_context_class(_Watching)
    yield
    set_context_class(Context)


@pytest.mark.usefixtures("_watching")
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_vjp_reads_exactly_what_it_saves(name: str) -> None:
    op = OPS[name]
    _Watching.names, _Watching.touched = frozenset(op.saves), set()
    for sample in samples(op, "float64"):
        tensors = [Tensor(a) for a in sample.inputs]
        floats = [t for t in tensors if t.dtype == "float64"]
        with GradientTape() as tape:
            tape.watch(floats)
            result = apply(op, tuple(tensors), sample.attrs)
        outputs = result if isinstance(result, tuple) else (result,)
        grads = {
            y._id: Tensor(np.ones(y.shape)) for y in outputs if y.dtype == "float64"
        }
        tape._tape.backward(grads, set(), lambda a, b: a + b)
    assert _Watching.touched == set(op.saves)


def test_dtype_codes_agree() -> None:
    assert _core.dtype_codes() == _dtypes.CODES
