# SPDX-License-Identifier: Apache-2.0
"""Recurrent sequences: for every step a matrix product and one kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import C_TYPES, Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule
from fastnn.backends.cuda.rules.gemm import product
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call, Scratch


class Sequence:
    """What the steps of one sequence share."""

    def __init__(
        self, shape: tuple[int, ...], dtype: str, flags: Any, scratch: Scratch
    ):
        self.batch, self.time, self.units = shape
        self.dtype = dtype
        self.wide = "float64" if dtype == "float64" else "float32"
        self.masked, self.reverse = flags
        self.scratch = scratch
        self.made: list[Task] = []
        order = range(self.time)
        self.order = list(reversed(order) if self.reverse else order)

    def space(self, columns: int, dtype: str | None = None) -> Operand:
        """Memory for (batch, columns)."""
        dtype = dtype or self.wide
        size = self.batch * columns * ITEMSIZE[dtype]
        return dense(self.scratch(size), dtype, (self.batch, columns))

    def launch(
        self, name: str, ins: tuple[Operand, ...], outs: tuple[Operand, ...], *more: int
    ) -> None:
        """One kernel of csrc/cuda/recurrent.cuh."""
        body = f"{name}<{C_TYPES[self.dtype]}, {C_TYPES[self.wide]}>"
        numbers = (self.units, int(self.masked), *more)
        blocks = blocks_for(self.batch * self.units)
        self.made.append(
            Launch("recurrent.cuh", body, ins, outs, numbers, blocks, THREADS)
        )

    def product(self, a: Operand, b: Operand, c: Operand) -> None:
        self.made += product(a, b, c, self.scratch)


def at_step(x: Operand, t: int) -> Operand:
    """(batch, columns) of a sequence (batch, time, columns)."""
    address = x.address + t * x.strides[1] * ITEMSIZE[x.dtype]
    return x._replace(
        address=address,
        shape=(x.shape[0], x.shape[2]),
        strides=(x.strides[0], x.strides[2]),
    )


def mask_at(mask: Operand, t: int) -> Operand:
    """(batch,) of a mask (batch, time)."""
    address = mask.address + t * mask.strides[1]
    return mask._replace(
        address=address, shape=mask.shape[:1], strides=mask.strides[:1]
    )


def turned(w: Operand) -> Operand:
    """The transpose."""
    return w._replace(shape=w.shape[::-1], strides=w.strides[::-1])


@rule("lstm", "lstm_outputs")
def lstm(call: Call) -> list[Task]:
    """Forward in time."""
    z, h, c, u, mask = call.ins
    every = len(call.outs) > 1
    run = Sequence(call.outs[0].shape, z.dtype, call.attrs, call.scratch)
    p = run.space(4 * run.units)
    own = (run.space(run.units, z.dtype), run.space(run.units, z.dtype))
    for k, t in enumerate(run.order):
        run.product(h, u, p)
        new_c = at_step(call.outs[1], t) if every else own[k % 2]
        gates = at_step(call.outs[2], t) if every else own[0]
        new_h = at_step(call.outs[0], t)
        operands = (at_step(z, t), p, h, c, mask_at(mask, t))
        run.launch("lstm_step", operands, (new_h, new_c, gates), int(every))
        h, c = new_h, new_c
    return run.made


@rule("gru", "gru_outputs")
def gru(call: Call) -> list[Task]:
    """Forward in time."""
    z, h, u, bias, mask = call.ins
    every = len(call.outs) > 1
    run = Sequence(call.outs[0].shape, z.dtype, call.attrs, call.scratch)
    p = run.space(3 * run.units)
    for t in run.order:
        run.product(h, u, p)
        new = at_step(call.outs[0], t)
        gates = at_step(call.outs[1], t) if every else new
        operands = (at_step(z, t), p, h, bias, mask_at(mask, t))
        run.launch("gru_step", operands, (new, gates), int(every))
        h = new
    return run.made


@rule("simple_rnn")
def simple_rnn(call: Call) -> list[Task]:
    """Forward in time."""
    z, h, u, mask = call.ins
    activation, *flags = call.attrs
    run = Sequence(call.outs[0].shape, z.dtype, flags, call.scratch)
    p = run.space(run.units)
    for t in run.order:
        run.product(h, u, p)
        new = at_step(call.outs[0], t)
        operands = (at_step(z, t), p, h, mask_at(mask, t))
        run.launch("simple_step", operands, (new,), int(activation == "relu"))
        h = new
    return run.made


@rule("lstm_grad")
def lstm_grad(call: Call) -> list[Task]:
    """Back through time."""
    dh, dc, gates, c, c0, u, mask = call.ins
    dz, dh0, dc0 = call.outs
    run = Sequence(dh.shape, dh.dtype, call.attrs, call.scratch)
    p, add, carried = (run.space(run.units) for _ in range(3))
    later = None
    for k in reversed(range(run.time)):
        t = run.order[k]
        before = c0 if k == 0 else at_step(c, run.order[k - 1])
        has_dc = dc.shape[1] > 0
        of_c = at_step(dc, t) if has_dc else at_step(dh, t)
        now = mask_at(mask, t)
        operands = (
            at_step(dh, t),
            of_c,
            at_step(gates, t),
            at_step(c, t),
            before,
            p,
            add,
            now,
            now if later is None else later,
        )
        results = (at_step(dz, t), add, carried)
        run.launch("lstm_back", operands, results, int(later is None), int(has_dc))
        run.product(at_step(dz, t), turned(u), p)
        later = now
    assert later is not None
    run.launch("carried_out", (p, add, later), (dh0,))
    run.made.append(_cast(carried, dc0))
    return run.made


def _cast(x: Operand, y: Operand) -> Launch:
    body, blocks = f"cast<{x.c_type}, {y.c_type}>", blocks_for(y.size)
    return Launch("copy.cuh", body, (x,), (y,), (), blocks, THREADS)


@rule("gru_grad")
def gru_grad(call: Call) -> list[Task]:
    """Back through time."""
    dh, gates, h, h0, u, mask = call.ins
    dz, dh0 = call.outs
    run = Sequence(dh.shape, dh.dtype, call.attrs, call.scratch)
    p, add = run.space(run.units), run.space(run.units)
    back = run.space(3 * run.units, dh.dtype)
    later = None
    for k in reversed(range(run.time)):
        t = run.order[k]
        before = h0 if k == 0 else at_step(h, run.order[k - 1])
        now = mask_at(mask, t)
        operands = (
            at_step(dh, t),
            at_step(gates, t),
            before,
            p,
            add,
            now,
            now if later is None else later,
        )
        results = (at_step(dz, t), add, back)
        run.launch("gru_back", operands, results, int(later is None))
        run.product(back, turned(u), p)
        later = now
    assert later is not None
    run.launch("carried_out", (p, add, later), (dh0,))
    return run.made


@rule("simple_rnn_grad")
def simple_rnn_grad(call: Call) -> list[Task]:
    """Back through time."""
    dh, h, u, mask = call.ins
    activation, *flags = call.attrs
    dz, dh0 = call.outs
    run = Sequence(dh.shape, dh.dtype, flags, call.scratch)
    p, add = run.space(run.units), run.space(run.units)
    later = None
    for t in reversed(run.order):
        now = mask_at(mask, t)
        operands = (
            at_step(dh, t),
            at_step(h, t),
            p,
            add,
            now,
            now if later is None else later,
        )
        relu = int(activation == "relu")
        results, last = (at_step(dz, t), add), int(later is None)
        run.launch("simple_back", operands, results, last, relu)
        run.product(at_step(dz, t), turned(u), p)
        later = now
    assert later is not None
    run.launch("carried_out", (p, add, later), (dh0,))
    return run.made
