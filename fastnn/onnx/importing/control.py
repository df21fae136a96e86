# SPDX-License-Identifier: Apache-2.0
"""Graphs inside of nodes: branches and loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.table import Node, UnsupportedError, host, reads, tensor
from fastnn.ops.control import cond

# A file may ask for any number of rounds.
MOST_ROUNDS = 1 << 20


@reads("If")
def _if(node: Node, condition: Any) -> Any:
    if isinstance(condition, Tensor) and condition._array is None:
        found = cond(
            ops.reshape(condition, ()),
            lambda: [tensor(v) for v in node.attrs["then_branch"].inside(node, {})],
            lambda: [tensor(v) for v in node.attrs["else_branch"].inside(node, {})],
        )
        return tuple(found)
    name = "then_branch" if bool(np.ravel(host(condition))[0]) else "else_branch"
    return tuple(node.attrs[name].inside(node, {}))


@reads("Loop", constants="0 1")
def _loop(node: Node, most: Any = None, condition: Any = None, *states: Any) -> Any:
    body, states_now = node.attrs["body"], list(states)
    rounds = MOST_ROUNDS if most is None else int(np.ravel(host(most, node.op))[0])
    goes_on = condition is None or bool(np.ravel(host(condition, node.op))[0])
    kept: list[list[Any]] = [[] for _ in body.outputs[1 + len(states) :]]
    done = 0
    while goes_on and done < rounds:
        if done >= MOST_ROUNDS:
            raise UnsupportedError(f"[onnx] a Loop of more than {MOST_ROUNDS} rounds")
        names = zip(
            body.inputs,
            [np.array(done, np.int64), np.array(True), *states_now],
            strict=True,
        )
        more, *found = body.inside(node, dict(names))
        states_now, rows = found[: len(states)], found[len(states) :]
        for row, rest in zip(rows, kept, strict=True):
            rest.append(row)
        goes_on = bool(np.ravel(host(more, node.op, "the condition"))[0])
        done += 1
    return (*states_now, *(_stacked(rows) for rows in kept))


def _stacked(rows: list[Any], axis: int = 0) -> Any:
    if not rows:
        return np.zeros((0,), np.float32)
    if not any(isinstance(r, Tensor) for r in rows):
        return np.stack(rows, axis)
    return ops.stack([tensor(r) for r in rows], axis=axis)


@reads("Scan")
def _scan(node: Node, *values: Any) -> Any:
    if node.opset < 9:
        raise UnsupportedError("[onnx] Scan as before opset 9")
    body, count = node.attrs["body"], node.attrs["num_scan_inputs"]
    states, scanned = list(values[: len(values) - count]), values[len(values) - count :]
    axes = node.get("scan_input_axes") or [0] * count
    backwards = node.get("scan_input_directions") or [0] * count
    rows = [tensor(v) for v in scanned]
    steps = rows[0].shape[axes[0]]
    kept: list[list[Any]] = [[] for _ in body.outputs[len(states) :]]
    for t in range(steps):
        parts = [
            ops.take(row, steps - 1 - t if back else t, axis=axis)
            for row, axis, back in zip(rows, axes, backwards, strict=True)
        ]
        names = dict(zip(body.inputs, [*states, *parts], strict=True))
        found = body.inside(node, names)
        states = found[: len(states)]
        for row, rest in zip(found[len(states) :], kept, strict=True):
            rest.append(row)
    out_axes = node.get("scan_output_axes") or [0] * len(kept)
    turned = node.get("scan_output_directions") or [0] * len(kept)
    return (
        *states,
        *(
            _stacked(rest[::-1] if back else rest, axis)
            for rest, axis, back in zip(kept, out_axes, turned, strict=True)
        ),
    )
