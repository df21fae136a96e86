# SPDX-License-Identifier: Apache-2.0
"""Whole sequences of recurrent cells, and their gradients.

z, (batch, time, gates units), is the input's product with its kernel and the bias, one
product for all steps; u is the recurrent kernel. Steps that `mask` leaves out keep the
state. What the way back computes is written once, with operators, for NumPy (the
reference) and for tensors (gradients of the gradients, one op after the other).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.opset._recurrent import (
    Arrays,
    Tensors,
    as_rows,
    cost_of,
    kernel_gradient,
    parts,
    sequence_op,
    sigmoid,
    states_before,
    walk,
    walk_back,
    zeros,
)

# -- LSTM ------------------------------------------------------------------------------


def _lstm_ref(*given: Any) -> Any:
    z, h0, c0, u, mask, *flags = given

    def step(t: int, state: Any) -> Any:
        i, f, g, o = np.split(z[:, t] + state[0] @ u, 4, 1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * state[1] + i * g
        return (o * np.tanh(c), c), np.concatenate([i, f, g, o], 1)

    return walk((h0, c0), z, mask, flags, step)


def _lstm_back(xp: Any, given: Any, flags: Any, dgates: Any = None) -> Any:
    dh, dc, gates, c, c0, u, mask = given
    units, ut = c0.shape[1], xp.transposed(u)

    def step(t: int, before: int | None, carried: list) -> Any:
        a, b = dh[:, t], dc[:, t] if dc.shape[1] else c0 * 0
        if carried:
            a, b = a + carried[0], b + carried[1]
        i, f, g, o = parts(gates, t, units)
        y, old = xp.tanh(c[:, t]), c0 if before is None else c[:, before]
        e = b + a * o * (1 - y * y)
        slopes = [e * g, e * old, e * i, a * y]
        if dgates is not None:
            more = parts(dgates, t, units)
            slopes = [s + m for s, m in zip(slopes, more, strict=True)]
        di, df, dg, do = slopes
        dz = xp.join(
            [di * i * (1 - i), df * f * (1 - f), dg * (1 - g * g), do * o * (1 - o)], 1
        )
        return dz, [dz @ ut, e * f], [a, b]

    return walk_back(xp, dh, mask, flags, step)


def _lstm_vjp(c: Any, dh: Any, dc: Any, dgates: Any) -> Any:
    shape, dtype = c.h.shape, c.h.dtype
    dh = zeros(c, shape, dtype) if dh is None else dh
    dc = zeros(c, (shape[0], 0, shape[2]), dtype) if dc is None else dc
    given = (dh, dc, c.gates, c.c, c.c0, c.u, c.mask)
    flags = (c.masked, c.reverse)
    if dgates is None:
        dz, dh0, dc0 = c.op.lstm_grad(*given, *flags)
    else:
        dz, dh0, dc0 = _lstm_back(Tensors(c.op), given, flags, dgates)
    du = None
    if c.needs("u"):
        found = states_before(c.h, c.h0, c.reverse, Tensors(c.op).join)
        du = kernel_gradient(c, found, dz)
    return dz, dh0, dc0, du, None


def _lstm_grad_vjp(c: Any, *gs: Any) -> Any:
    given = (c.dh, c.dc, c.gates, c.c, c.c0, c.u)
    flags = (c.masked, c.reverse)

    def again(*values: Any) -> Any:
        return _lstm_back(Tensors(c.op), (*values, c.mask), flags)

    return (*c.pullback(again, given, gs), None)


# -- GRU -------------------------------------------------------------------------------


def _gru_ref(*given: Any) -> Any:
    z, h0, u, bias, mask, *flags = given

    def step(t: int, state: Any) -> Any:
        h = state[0]
        (xz, xr, xh), (sz, sr, sh) = np.split(z[:, t], 3, 1), np.split(h @ u, 3, 1)
        zt, r, sh = sigmoid(xz + sz), sigmoid(xr + sr), sh + bias
        y = np.tanh(xh + r * sh)
        return (zt * h + (1 - zt) * y,), np.concatenate([zt, r, y, sh], 1)

    h, _, gates = walk((h0,), z, mask, flags, step)
    return h, gates


def _gru_back(xp: Any, given: Any, flags: Any, dgates: Any = None) -> Any:
    dh, gates, h, h0, u, mask = given
    units, ut = h0.shape[1], xp.transposed(u)

    def step(t: int, before: int | None, carried: list) -> Any:
        a = dh[:, t] + carried[0] if carried else dh[:, t]
        z, r, y, s = parts(gates, t, units)
        old = h0 if before is None else h[:, before]
        more = [0, 0, 0, 0] if dgates is None else parts(dgates, t, units)
        dy = (a * (1 - z) + more[2]) * (1 - y * y)
        dz = (a * (old - y) + more[0]) * z * (1 - z)
        dr = (dy * s + more[1]) * r * (1 - r)
        ds = dy * r + more[3]
        back = xp.join([dz, dr, ds], 1) @ ut
        return xp.join([ds, dz, dr, dy], 1), [back + a * z], [a]

    return walk_back(xp, dh, mask, flags, step)


def _gru_vjp(c: Any, dh: Any, dgates: Any) -> Any:
    dh = zeros(c, c.h.shape, c.h.dtype) if dh is None else dh
    given = (dh, c.gates, c.h, c.h0, c.u, c.mask)
    flags, units = (c.masked, c.reverse), c.h.shape[2]
    if dgates is None:
        slopes, dh0 = c.op.gru_grad(*given, *flags)
    else:
        slopes, dh0 = _gru_back(Tensors(c.op), given, flags, dgates)
    rows = as_rows(c, slopes)
    join = Tensors(c.op).join
    du = None
    if c.needs("u"):
        found = states_before(c.h, c.h0, c.reverse, join)
        found = kernel_gradient(c, found, rows[:, : 3 * units])  # of s, z, r
        du = join([found[:, units:], found[:, :units]], 1)
    bias = c.op.sum(rows[:, :units], (0,), False) if c.needs("bias") else None
    return slopes[:, :, units:], dh0, du, bias, None


def _gru_grad_vjp(c: Any, *gs: Any) -> Any:
    given = (c.dh, c.gates, c.h, c.h0, c.u)
    flags = (c.masked, c.reverse)

    def again(*values: Any) -> Any:
        return _gru_back(Tensors(c.op), (*values, c.mask), flags)

    return (*c.pullback(again, given, gs), None)


# -- simple cells ----------------------------------------------------------------------


def _simple_ref(*given: Any) -> Any:
    z, h0, u, mask, act, *flags = given

    def step(t: int, state: Any) -> Any:
        s = z[:, t] + state[0] @ u
        h = np.tanh(s) if act == "tanh" else np.maximum(s, 0)
        return (h,), h

    return walk((h0,), z, mask, flags, step)[0]


def _simple_back(xp: Any, given: Any, act: str, flags: Any) -> Any:
    dh, h, u, mask = given
    ut = xp.transposed(u)

    def step(t: int, before: int | None, carried: list) -> Any:
        a = dh[:, t] + carried[0] if carried else dh[:, t]
        y = h[:, t]
        dz = a * (1 - y * y) if act == "tanh" else a * xp.positive(y)
        return dz, [dz @ ut], [a]

    return walk_back(xp, dh, mask, flags, step)


def _simple_vjp(c: Any, dh: Any) -> Any:
    dz, dh0 = c.op.simple_rnn_grad(
        dh, c.h, c.u, c.mask, c.activation, c.masked, c.reverse
    )
    du = None
    if c.needs("u"):
        found = states_before(c.h, c.h0, c.reverse, Tensors(c.op).join)
        du = kernel_gradient(c, found, dz)
    return dz, dh0, du, None


def _simple_grad_vjp(c: Any, *gs: Any) -> Any:
    flags = (c.masked, c.reverse)

    def again(*values: Any) -> Any:
        given = (*values, c.mask)
        return _simple_back(Tensors(c.op), given, c.activation, flags)

    return (*c.pullback(again, (c.dh, c.h, c.u), gs), None)


# -- outputs only ----------------------------------------------------------------------


def _outputs_vjp(name: str, floats: str) -> Any:
    """The gradient of an op that keeps nothing for it: of the op that does."""

    def vjp(c: Any, dh: Any) -> Any:
        def again(*values: Any) -> Any:
            return getattr(c.op, name)(*values, c.mask, c.masked, c.reverse)[:1]

        inputs = [getattr(c, x) for x in floats.split()]
        return (*c.pullback(again, inputs, (dh,)), None)

    return vjp


# -- records -----------------------------------------------------------------------

sequence_op(
    "lstm",
    "z h0 c0 u mask",
    "4 s s u4 m",
    "h c gates",
    "1 1 4",
    ref=_lstm_ref,
    vjp=_lstm_vjp,
    saves=("h0", "c0", "u", "mask", "h", "c", "gates"),
    inplace=(-1, -1, 0),
    cost=cost_of(4),
    doc="i, f, g, o = act(z_t + h u), act = sigmoid, sigmoid, tanh, sigmoid; "
    "c = f c + i g; h = o tanh(c) (Hochreiter and Schmidhuber 1997, with forget gates)",
)
sequence_op(
    "lstm_outputs",
    "z h0 c0 u mask",
    "4 s s u4 m",
    "h",
    "1",
    ref=lambda *given: _lstm_ref(*given)[0],
    vjp=_outputs_vjp("lstm", "z h0 c0 u"),
    saves=("z", "h0", "c0", "u", "mask"),
    cost=cost_of(4),
    doc="h of lstm, where nothing else is read; its gradient runs lstm again",
)
sequence_op(
    "lstm_grad",
    "dh dc gates c c0 u mask",
    "1 0 g4 1 s u4 m",
    "dz dh0 dc0",
    "4 s s",
    ref=lambda *a: _lstm_back(Arrays, a[:7], a[7:]),
    vjp=_lstm_grad_vjp,
    saves=("dh", "dc", "gates", "c", "c0", "u", "mask"),
    inplace=(2,),
    cost=cost_of(4),
    doc="gradient of lstm for z and the first states, back through time",
)
sequence_op(
    "gru",
    "z h0 u bias mask",
    "3 s u3 b m",
    "h gates",
    "1 4",
    ref=_gru_ref,
    vjp=_gru_vjp,
    saves=("h0", "u", "mask", "h", "gates"),
    cost=cost_of(3),
    doc="s = h u; z, r = sigmoid(z_t + s); y = tanh(z_t + r (s + bias)); "
    "h = z h + (1 - z) y (arXiv:1406.1078, with the reset behind the product)",
)
sequence_op(
    "gru_outputs",
    "z h0 u bias mask",
    "3 s u3 b m",
    "h",
    "1",
    ref=lambda *given: _gru_ref(*given)[0],
    vjp=_outputs_vjp("gru", "z h0 u bias"),
    saves=("z", "h0", "u", "bias", "mask"),
    cost=cost_of(3),
    doc="h of gru, where nothing else is read; its gradient runs gru again",
)
sequence_op(
    "gru_grad",
    "dh gates h h0 u mask",
    "1 g4 1 s u3 m",
    "dz dh0",
    "4 s",
    ref=lambda *a: _gru_back(Arrays, a[:6], a[6:]),
    vjp=_gru_grad_vjp,
    saves=("dh", "gates", "h", "h0", "u", "mask"),
    inplace=(1,),
    cost=cost_of(3),
    doc="gradient of gru for (s + bias, z, r, the candidate's input) and the first "
    "state, back through time",
)
sequence_op(
    "simple_rnn",
    "z h0 u mask",
    "1 s u1 m",
    "h",
    "1",
    first=(("tanh",), ("relu",)),
    ref=_simple_ref,
    vjp=_simple_vjp,
    saves=("h0", "u", "mask", "h"),
    inplace=(0,),
    cost=cost_of(1),
    doc="h = activation(z_t + h u) (Elman 1990)",
)
sequence_op(
    "simple_rnn_grad",
    "dh h u mask",
    "1 1 u1 m",
    "dz dh0",
    "1 s",
    first=(("tanh",), ("relu",)),
    ref=lambda *a: _simple_back(Arrays, a[:4], a[4], a[5:]),
    vjp=_simple_grad_vjp,
    saves=("dh", "h", "u", "mask"),
    inplace=(0,),
    cost=cost_of(1),
    doc="gradient of simple_rnn for z and the first state, back through time",
)
