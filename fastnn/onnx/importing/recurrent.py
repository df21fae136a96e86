# SPDX-License-Identifier: Apache-2.0
"""LSTM, GRU and RNN: fastnn's ops over whole sequences, or step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.onnx.importing.elementwise import like
from fastnn.onnx.importing.table import Node, UnsupportedError, reads, tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_DEFAULTS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}


class _Direction:
    """One direction of a node: its weights and settings.

    Attributes:
        w, r: (inputs or units, gates units). wb, rb: their biases.
    """

    def __init__(self, node: Node, given: tuple[Any, ...], index: int) -> None:
        self.node, self.index = node, index
        w, r, b = given[:3]
        self.w, self.r = (ops.transpose(ops.get_item(v, index)) for v in (w, r))
        self.units = node.attrs["hidden_size"]
        wide = _GATES[node.op] * self.units
        if b is None:
            self.wb = self.rb = tensor(np.zeros(wide, w.dtype))
        else:
            both = ops.get_item(b, index)
            self.wb, self.rb = both[:wide], both[wide:]
        direction = node.get("direction", "forward")
        self.reverse = direction == "reverse" or index == 1
        names = node.get("activations") or _DEFAULTS[node.op] * 2
        each = len(_DEFAULTS[node.op])
        self.names = [n.capitalize() for n in names[index * each : (index + 1) * each]]
        self.alphas, self.betas = (
            node.get("activation_alpha"),
            node.get("activation_beta"),
        )
        self.clip = node.get("clip")

    @property
    def plain(self) -> bool:
        """Whether the cell is the one that fastnn's ops have."""
        node = self.node
        if self.clip is not None or node.get("input_forget", 0):
            return False
        if node.op == "RNN":
            return self.names[0] in ("Tanh", "Relu")
        before = node.op != "GRU" or node.get("linear_before_reset", 0)
        return self.names == _DEFAULTS[node.op] and bool(before)

    def act(self, k: int, x: Tensor) -> Tensor:
        if self.clip is not None:
            x = ops.clip(x, -self.clip, self.clip)
        name = self.names[k]
        if name not in _ACTIVATIONS:
            raise UnsupportedError(f"[onnx] {self.node.op} with activation {name}")
        return _ACTIVATIONS[name](
            x, self._number(self.alphas, k), self._number(self.betas, k)
        )

    def _number(self, numbers: Any, k: int) -> Any:
        place = self.index * len(_DEFAULTS[self.node.op]) + k
        return numbers[place] if numbers and place < len(numbers) else None


def _affine(x: Tensor, a: Any, b: Any) -> Tensor:
    return x * like(1.0 if a is None else a, x) + like(0.0 if b is None else b, x)


_ACTIVATIONS: dict[str, Callable[[Tensor, Any, Any], Tensor]] = {
    "Relu": lambda x, a, b: ops.relu(x),
    "Tanh": lambda x, a, b: ops.tanh(x),
    "Sigmoid": lambda x, a, b: ops.sigmoid(x),
    "Affine": _affine,
    "Leakyrelu": lambda x, a, b: ops.leaky_relu(x, 0.01 if a is None else a),
    "Elu": lambda x, a, b: ops.elu(x, 1.0 if a is None else a),
    "Softsign": lambda x, a, b: ops.softsign(x),
    "Softplus": lambda x, a, b: ops.softplus(x),
    "Hardsigmoid": lambda x, a, b: ops.clip(
        _affine(x, 0.2 if a is None else a, 0.5 if b is None else b), 0.0, 1.0
    ),
}


@reads("LSTM", "GRU", "RNN", constants="4")
def _recurrent(node: Node, x: Any, w: Any, r: Any, *more: Any) -> Any:
    given = [*more, *([None] * (5 - len(more)))]
    b, lengths, h0, c0, peepholes = given
    if peepholes is not None:
        peepholes = tensor(peepholes)
    x, w, r = map(tensor, (x, w, r))
    b = None if b is None else tensor(b)
    batch_first = bool(node.get("layout", 0))
    x = x if batch_first else ops.transpose(x, (1, 0, 2))  # (batch, time, inputs)
    steps = x.shape[1]
    mask = None
    if lengths is not None:
        mask = ops.less(
            tensor(np.arange(steps)),
            ops.cast(ops.expand_dims(tensor(lengths), 1), "int64"),
        )
    results = []
    for i in range(w.shape[0]):
        states = [_state(s, i, x, r.shape[2], batch_first) for s in (h0, c0)]
        direction = _Direction(node, (w, r, b), i)
        holes = None if peepholes is None else ops.get_item(peepholes, i)
        results.append(_one(direction, x, states, mask, holes))
    y, *last = (ops.stack(parts, axis=0) for parts in zip(*results, strict=True))
    if batch_first:  # (batch, time, directions, units)
        y = ops.transpose(y, (1, 2, 0, 3))
        last = [ops.transpose(s, (1, 0, 2)) for s in last]
    else:  # (time, directions, batch, units)
        y = ops.transpose(y, (2, 0, 1, 3))
    return (y, *last)


def _state(s: Any, index: int, x: Tensor, units: int, batch_first: bool) -> Tensor:
    if s is None:
        return tensor(np.zeros((x.shape[0], units), x.dtype))
    s = tensor(s)
    return s[:, index] if batch_first else s[index]


def _one(
    d: _Direction, x: Tensor, states: list[Tensor], mask: Any, holes: Any
) -> tuple[Tensor, ...]:
    """(outputs, last h, last c) of one direction."""
    batch, steps, inputs = x.shape
    op = d.node.op
    if d.plain and holes is None:
        z = ops.matmul(ops.reshape(x, (batch * steps, inputs)), d.w) + d.wb
        found = _NATIVE[op](d, z, states, mask, (batch, steps))
    else:
        found = _stepwise(d, x, states, mask, holes)
    end = 0 if d.reverse else steps - 1
    last = [sequence[:, end] for sequence in found]
    y = found[0]
    if mask is not None:
        y = ops.where(ops.expand_dims(mask, -1), y, like(0, y))
    return (y, *last)


def _flags(d: _Direction, mask: Any, shape: Any) -> tuple[Any, bool, bool]:
    known = tensor(np.ones(shape, bool)) if mask is None else mask
    return known, mask is not None, d.reverse


def _parts(value: Tensor, units: int, order: Any) -> Tensor:
    """Gates in another order along the last axis."""
    parts = [value[..., k * units : (k + 1) * units] for k in order]
    return ops.concatenate(parts, axis=-1)


def _lstm(d: _Direction, z: Tensor, states: Any, mask: Any, shape: Any) -> Any:
    order, units = (0, 2, 3, 1), d.units  # i o f c -> i f c o
    z = ops.reshape(_parts(z + d.rb, units, order), (*shape, 4 * units))
    r = _parts(d.r, units, order)
    known, masked, reverse = _flags(d, mask, shape)
    h0, c0 = states
    h, c, _ = raw.lstm(z, h0, c0, r, known, masked, reverse)
    return [h, c]


def _gru(d: _Direction, z: Tensor, states: Any, mask: Any, shape: Any) -> Any:
    units = d.units
    zeros = tensor(np.zeros(units, z.dtype))
    z = z + ops.concatenate([d.rb[: 2 * units], zeros], axis=0)
    z = ops.reshape(z, (*shape, 3 * units))
    known, masked, reverse = _flags(d, mask, shape)
    h, _ = raw.gru(z, states[0], d.r, d.rb[2 * units :], known, masked, reverse)
    return [h]


def _rnn(d: _Direction, z: Tensor, states: Any, mask: Any, shape: Any) -> Any:
    z = ops.reshape(z + d.rb, (*shape, d.units))
    known, masked, reverse = _flags(d, mask, shape)
    name = d.names[0].lower()
    return [raw.simple_rnn(z, states[0], d.r, known, name, masked, reverse)]


_NATIVE = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


# -- step by step ----------------------------------------------------------------------


def _stepwise(
    d: _Direction, x: Tensor, states: list[Tensor], mask: Any, holes: Any
) -> list[Tensor]:
    count = 2 if d.node.op == "LSTM" else 1
    now, kept = states[:count], []
    order = list(range(x.shape[1]))
    order = order[::-1] if d.reverse else order
    for t in order:
        new = _CELLS[d.node.op](d, x[:, t], now, holes)
        if mask is not None:
            keep = mask[:, t : t + 1]
            new = [ops.where(keep, a, b) for a, b in zip(new, now, strict=True)]
        now = new
        kept.append(now)
    kept = kept[::-1] if d.reverse else kept
    return [ops.stack(list(parts), axis=1) for parts in zip(*kept, strict=True)]


def _split(value: Tensor, units: int) -> list[Tensor]:
    return [value[:, k : k + units] for k in range(0, value.shape[1], units)]


def _lstm_cell(d: _Direction, x: Tensor, now: list[Tensor], holes: Any) -> list[Tensor]:
    h, c = now
    z = ops.matmul(x, d.w) + ops.matmul(h, d.r) + d.wb + d.rb
    i, o, f, g = _split(z, d.units)
    if holes is not None:
        pi, po, pf = (holes[k * d.units : (k + 1) * d.units] for k in range(3))
        i, f = i + pi * c, f + pf * c
    i = d.act(0, i)
    f = 1.0 - i if d.node.get("input_forget", 0) else d.act(0, f)
    c = f * c + i * d.act(1, g)
    if holes is not None:
        o = o + po * c
    return [d.act(0, o) * d.act(2, c), c]


def _gru_cell(d: _Direction, x: Tensor, now: list[Tensor], holes: Any) -> list[Tensor]:
    h, units = now[0], d.units
    xz, xr, xh = _split(ops.matmul(x, d.w) + d.wb, units)
    hz, hr = _split(ops.matmul(h, d.r[:, : 2 * units]) + d.rb[: 2 * units], units)
    z, r = d.act(0, xz + hz), d.act(0, xr + hr)
    rh, bias = d.r[:, 2 * units :], d.rb[2 * units :]
    if d.node.get("linear_before_reset", 0):
        inner = r * (ops.matmul(h, rh) + bias)
    else:
        inner = ops.matmul(r * h, rh) + bias
    return [(1.0 - z) * d.act(1, xh + inner) + z * h]


def _rnn_cell(d: _Direction, x: Tensor, now: list[Tensor], holes: Any) -> list[Tensor]:
    return [d.act(0, ops.matmul(x, d.w) + ops.matmul(now[0], d.r) + d.wb + d.rb)]


_CELLS = {"LSTM": _lstm_cell, "GRU": _gru_cell, "RNN": _rnn_cell}
