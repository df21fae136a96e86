# SPDX-License-Identifier: Apache-2.0
"""Recurrent sequences: LSTM, GRU and RNN nodes, and a Scan where steps are left out.

fastnn's ops read z, the input's product with its kernel for all steps; ONNX's nodes
make that product themselves, so the writer looks for what z is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastnn.onnx.export.emitter import CannotExportError, Emitter, Nodes
from fastnn.onnx.export.open_sizes import Array, Step
from fastnn.onnx.export.table import writes
from fastnn.onnx.package import DTYPES, onnx_package


class _Source(NamedTuple):
    """z = x w + b."""

    x: Array
    w: np.ndarray
    b: np.ndarray


def _source(z: Array) -> _Source | None:
    """What z is made of; None where it is something else, or weights are not known."""
    product = _maker(z, "reshape")
    step = product and product.step
    if not step or step.op not in ("linear", "matmul"):
        return None
    if step.attrs.get("activation", "linear") != "linear":
        return None
    x = _maker(step.inputs[0], "reshape")
    if x is None or x.rank != 3 or x.shape[:2] != z.shape[:2]:
        return None
    w, b = step.inputs[1].known, step.inputs[2].known if step.op == "linear" else None
    if w is None or (step.op == "linear" and b is None):
        return None
    return _Source(x, w, np.zeros(w.shape[1], w.dtype) if b is None else b)


def _maker(array: Array, op: str) -> Array | None:
    step = array.step
    return step.inputs[0] if step is not None and step.op == op else None


def _is_zero(array: Array) -> bool:
    if array.known is None and array.step is not None:
        core = _maker(array, "broadcast_to")
        return core is not None and core.known is not None and not core.known.any()
    return array.known is not None and not array.known.any()


def _sequence(
    e: Emitter,
    step: Step,
    op: str,
    source: _Source,
    weights: tuple[np.ndarray, np.ndarray, np.ndarray],
    states: list[Array],
    **attrs: Any,
) -> None:
    """One node over a whole sequence; weights are transposed, biases behind another."""
    w, r, b = (np.ascontiguousarray(a)[None] for a in weights)
    x = e.add("Transpose", e.name(source.x), perm=(1, 0, 2))
    given = [x, e.constant(w), e.constant(r), e.constant(b), ""]
    if not all(map(_is_zero, states)):
        given += [e.add("Unsqueeze", e.name(s), e.ints(0)) for s in states]
    outputs = e.add_many(
        op,
        given,
        1,
        hidden_size=r.shape[2],
        direction="reverse" if step.attrs["reverse"] else "forward",
        **attrs,
    )
    h = e.add("Squeeze", outputs[0], e.ints(1))
    e.give(step.outputs[0], e.add("Transpose", h, perm=(1, 0, 2)))


def _reordered(a: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The last axis, made of equal parts, with the parts in another order."""
    parts = np.split(a, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


@writes("lstm", "lstm_outputs")
def _lstm(e: Emitter, step: Step) -> None:
    z, h0, c0, u, mask = step.inputs
    source = _source(z)
    if _plain(e, step) and source is not None and u.known is not None:
        order = 0, 3, 1, 2  # input, forget, cell, output -> input, output, forget, cell
        w, r, b = (_reordered(a, order) for a in (source.w, u.known, source.b))
        both = np.concatenate([b, np.zeros_like(b)])
        _sequence(e, step, "LSTM", source, (w.T, r.T, both), [h0, c0])
        return

    def cell(n: Nodes, zt: str, states: list[str]) -> list[str]:
        s = n.add("Add", zt, n.add("MatMul", states[0], e.name(u)))
        i, f, g, o = n.add_many("Split", [s], 4, axis=1, num_outputs=4)
        i, f, o = (n.add("Sigmoid", gate) for gate in (i, f, o))
        new = n.add("Mul", i, n.add("Tanh", g))
        c = n.add("Add", n.add("Mul", f, states[1]), new)
        return [n.add("Mul", o, n.add("Tanh", c)), c]

    _scan(e, step, cell, [h0, c0], mask)


@writes("gru", "gru_outputs")
def _gru(e: Emitter, step: Step) -> None:
    z, h0, u, bias, mask = step.inputs
    source, units = _source(z), u.shape[0]
    known = u.known is not None and bias.known is not None
    if _plain(e, step) and source is not None and known:
        assert u.known is not None
        assert bias.known is not None
        zeros = np.zeros(2 * units, bias.known.dtype)  # type: ignore[operator]
        both = np.concatenate([source.b, zeros, bias.known])
        weights = source.w.T, u.known.T, both
        _sequence(e, step, "GRU", source, weights, [h0], linear_before_reset=1)
        return

    def cell(n: Nodes, zt: str, states: list[str]) -> list[str]:
        h = states[0]
        xz, xr, xh = n.add_many("Split", [zt], 3, axis=1, num_outputs=3)
        s = n.add("MatMul", h, e.name(u))
        sz, sr, sh = n.add_many("Split", [s], 3, axis=1, num_outputs=3)
        gate, reset = (
            n.add("Sigmoid", n.add("Add", *pair)) for pair in ((xz, sz), (xr, sr))
        )
        sh = n.add("Mul", reset, n.add("Add", sh, e.name(bias)))
        y = n.add("Tanh", n.add("Add", xh, sh))
        # gate h + (1 - gate) y
        return [n.add("Add", y, n.add("Mul", gate, n.add("Sub", h, y)))]

    _scan(e, step, cell, [h0], mask)


@writes("simple_rnn")
def _simple_rnn(e: Emitter, step: Step) -> None:
    z, h0, u, mask = step.inputs
    source = _source(z)
    name = {"tanh": "Tanh", "relu": "Relu"}[step.attrs["activation"]]
    if _plain(e, step) and source is not None and u.known is not None:
        both = np.concatenate([source.b, np.zeros_like(source.b)])
        weights = source.w.T, u.known.T, both
        _sequence(e, step, "RNN", source, weights, [h0], activations=[name])
        return

    def cell(n: Nodes, zt: str, states: list[str]) -> list[str]:
        s = n.add("Add", zt, n.add("MatMul", states[0], e.name(u)))
        return [n.add(name, s)]

    _scan(e, step, cell, [h0], mask)


def _plain(e: Emitter, step: Step) -> bool:
    """Whether every step counts and only the outputs are read."""
    return not step.attrs["masked"] and not any(map(e.used, step.outputs[1:]))


Cell = Callable[[Nodes, str, list[str]], list[str]]


def _scan(e: Emitter, step: Step, cell: Cell, states: list[Array], mask: Array) -> None:
    """Step by step: a step that the mask leaves out keeps the states."""
    helper = onnx_package().helper
    z, masked = step.inputs[0], step.attrs["masked"]
    if len(step.outputs) > len(states) and e.used(step.outputs[-1]):
        raise CannotExportError("the gates of a recurrent layer")
    body = Nodes(e.fresh("step") + "_")
    before = [body.fresh("state") for _ in states]
    zt, mt = body.fresh("z"), body.fresh("mask")
    after = cell(body, zt, before)
    if masked:
        keep = body.add("Unsqueeze", mt, body.ints(1))
        pairs = zip(after, before, strict=True)
        after = [body.add("Where", keep, new, old) for new, old in pairs]
    kept = [body.add("Identity", a) for a in after]
    real, logical = DTYPES[z.dtype], DTYPES["bool"]

    def info(name: str, dtype: int, rank: int) -> Any:
        return helper.make_tensor_value_info(name, dtype, [None] * rank)

    inputs = [info(n, real, 2) for n in (*before, zt)]
    inputs += [info(mt, logical, 1)] if masked else []
    graph = helper.make_graph(
        body.nodes,
        body.fresh("graph"),
        inputs,
        [info(n, real, 2) for n in (*after, *kept)],
        initializer=[],
    )
    # Constants of a body are those of the file: names of outer graphs are visible.
    e.constants.update(body.constants)
    scanned = [z, mask] if masked else [z]
    flags = [int(step.attrs["reverse"])]
    found = e.add_many(
        "Scan",
        [e.name(a) for a in (*states, *scanned)],
        2 * len(states),
        body=graph,
        num_scan_inputs=len(scanned),
        scan_input_axes=[1] * len(scanned),
        scan_output_axes=[1] * len(states),
        scan_input_directions=flags * len(scanned),
        scan_output_directions=flags * len(states),
    )
    for array, name in zip(step.outputs, found[len(states) :], strict=False):
        e.give(array, name)
