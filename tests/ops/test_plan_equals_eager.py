# SPDX-License-Identifier: Apache-2.0
"""Each op traced, planned and run gives the bits of eager execution."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import DTYPES, KERNEL_OPS, OPS, PLANNED, run, samples

from fastnn import _core
from fastnn.autodiff._tape import apply
from fastnn.autodiff.tensor import Tensor
from fastnn.graph import spec
from fastnn.graph.compile import function
from fastnn.graph.passes import optimize
from fastnn.graph.plan import Plan
from fastnn.graph.trace import trace
from fastnn.opset import Spec


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PLANNED)
def test_plan_equals_eager(name: str, dtype: str) -> None:
    op = OPS[name]
    for sample in samples(op, dtype):
        arrays = [np.ascontiguousarray(a).reshape(a.shape) for a in sample.inputs]
        specs = [Spec(a.shape, a.dtype.name) for a in arrays]
        graph, _ = trace(lambda *t, s=sample: apply(op, t, s.attrs), specs)
        optimize(graph)
        spec.verify(graph)
        planned = Plan(graph).run(arrays)
        eager = run(op, sample.inputs, sample.attrs)
        for a, b in zip(planned, eager, strict=True):
            assert a.shape == b.shape
            np.testing.assert_array_equal(a, b, err_msg=f"{name} {sample.attrs}")


@pytest.mark.parametrize("name", [n for n in OPS if n not in PLANNED])
def test_a_function_with_a_host_op_runs_node_by_node(name: str) -> None:
    op = OPS[name]
    for sample in samples(op, "float32"):
        compiled = function(lambda *t, s=sample: apply(op, t, s.attrs))
        results = compiled(*(Tensor(a) for a in sample.inputs))
        results = results if isinstance(results, tuple) else (results,)
        for a, b in zip(results, run(op, sample.inputs, sample.attrs), strict=True):
            np.testing.assert_array_equal(a.numpy(), b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KERNEL_OPS)
def test_bits_do_not_depend_on_threads(name: str, dtype: str) -> None:
    """A huge cost sends the smallest sample to the pool, in 1, 2 and 3 parts."""
    op = OPS[name]
    from fastnn.autodiff._launch import encode_attrs

    before = _core.num_threads()
    try:
        for sample in samples(op, dtype):
            outputs = run(op, sample.inputs, sample.attrs)
            shape = outputs[0].shape
            inputs = [
                np.broadcast_to(a, op.operand_shape(a.shape, shape))
                for a in sample.inputs
            ]
            for threads in (1, 2, 3):
                _core.set_num_threads(threads)
                out = [np.full_like(o, 7) for o in outputs]
                attrs = encode_attrs(op, sample.attrs)
                _core.launch(name, inputs, out, attrs, cost=1e12)
                for a, b in zip(out, outputs, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=f"{threads} threads")
    finally:
        _core.set_num_threads(before)
