# SPDX-License-Identifier: Apache-2.0
"""Right or wrong: each kernel on the samples of its record."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn import _core, config
from fastnn.autodiff._launch import encode_attrs
from fastnn.opset import OpDef, all_ops
from fastnn.opset._opdef import HOST, VIEW, Sample
from fastnn.selftest.cases import (
    DTYPES,
    assert_close,
    reference,
    run,
    samples,
    widens,
)

ENOUGH = 5  # failures of one op that are told in full

Report = dict[str, Any]


def chosen(names: Iterable[str]) -> dict[str, OpDef]:
    """The ops called `names`, all when there are none."""
    ops, wanted = all_ops(), list(names)
    unknown = [name for name in wanted if name not in ops]
    if unknown:
        raise ValueError(f"[selftest] no op is called {', '.join(unknown)}.")
    return {name: op for name, op in ops.items() if not wanted or name in wanted}


def family_of() -> dict[str, str]:
    """Kernel family by op; ops without a kernel are "view"."""
    return {row["name"]: row["family"] for row in _core.kernels()}


def check(names: Iterable[str] = ()) -> Report:
    """Check ops with the active instruction set.

    Returns:
        `isa`, `threads` and `families`: name -> `ops`, `cases`, `seconds` and
        `failures`, a list of texts.
    """
    families: dict[str, Report] = {}
    home, ops = family_of(), chosen(names)
    before = config.backend()
    config.set_backend("cpu")
    try:
        for name, op in ops.items():
            if op.kind == HOST:  # LAPACK's own business
                continue
            key = "view" if op.kind == VIEW else home.get(name, "(no kernel)")
            empty: Report = {"ops": 0, "cases": 0, "seconds": 0.0, "failures": []}
            family = families.setdefault(key, empty)
            began = time.perf_counter()
            cases, failures = check_op(op)
            family["seconds"] += time.perf_counter() - began
            family["ops"] += 1
            family["cases"] += cases
            family["failures"] += failures[:ENOUGH]
    finally:
        config.set_backend(before)
    for name in set(home) - set(all_ops()):  # a stale library beside newer Python
        orphan = families.setdefault(home[name], {"ops": 0, "cases": 0, "seconds": 0.0})
        orphan.setdefault("failures", []).append(f"kernel {name} has no record")
    return {"isa": _core.isa(), "threads": _core.num_threads(), "families": families}


def check_op(op: OpDef) -> tuple[int, list[str]]:
    """Number of cases of one op, and a text for each that failed."""
    cases, failures = 0, []
    for dtype in DTYPES:
        for sample in samples(op, dtype):
            cases += 1
            problem = _problem(op, sample)
            if problem:
                shapes = ", ".join(f"{a.dtype}{list(a.shape)}" for a in sample.inputs)
                failures.append(f"{op.name}({shapes}) {sample.attrs}: {problem}")
    return cases, failures


def _problem(op: OpDef, sample: Sample) -> str | None:
    """What is wrong with one case, None if nothing is."""
    try:
        outputs = run(op, sample.inputs, sample.attrs)
        expected = reference(op, sample, widen=widens(op))
        for got, want in zip(outputs, expected, strict=True):
            assert_close(got, want, op, "differs from the reference")
        if op.kind != VIEW:
            _assert_same_on_threads(op, sample, outputs)
    except Exception as error:  # a crash of one kernel must not hide the others
        return f"{type(error).__name__}: {error}"
    return None


def _assert_same_on_threads(op: OpDef, sample: Sample, outputs: list[Any]) -> None:
    """A part of the kernel per thread gives the bits of the whole."""
    shape = outputs[0].shape
    inputs = [np.broadcast_to(a, op.operand_shape(a.shape, shape)) for a in sample[0]]
    again = [np.full_like(o, 7) for o in outputs]
    attrs = encode_attrs(op, sample.attrs)
    _core.launch(op.name, inputs, again, attrs, cost=1e12)
    for a, b in zip(again, outputs, strict=True):
        np.testing.assert_array_equal(a, b, f"{_core.num_threads()} threads differ")
