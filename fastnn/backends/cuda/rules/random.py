# SPDX-License-Identifier: Apache-2.0
"""Random numbers: a thread per element, the CPU's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.launches import Launch, Operand, Task, dense
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Scratch
    from fastnn.opset._opdef import OpDef

WARP = 32


@rule("random_uniform", "random_normal", "truncated_normal", "dropout")
def draws(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """`name<dtype>`; attributes that are no numbers are in the output already."""
    pairs = zip(op.attrs, attrs, strict=True)
    numbers = tuple(float(v) for a, v in pairs if a.kind == "float")
    body = f"{op.name}<{outs[0].c_type}>"
    blocks = blocks_for(outs[0].size)
    return [Launch("random.cuh", body, ins, outs, numbers, blocks, THREADS)]


@rule("random_integers", "random_gamma", "random_beta", "random_binomial")
def samples(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """`name<dtype>`, drawn by rejection."""
    pairs = zip(op.attrs, attrs, strict=True)
    numbers = tuple(int(v) for a, v in pairs if a.kind == "int")
    body = f"{op.name}<{outs[0].c_type}>"
    blocks = blocks_for(outs[0].size)
    return [Launch("sampling.cuh", body, ins, outs, numbers, blocks, THREADS)]


@rule("random_permutation")
def permutation(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """One thread."""
    return [Launch("sampling.cuh", op.name, ins, outs, (), 1, WARP)]


@rule("random_categorical")
def categorical(
    op: OpDef,
    ins: tuple[Operand, ...],
    outs: tuple[Operand, ...],
    attrs: tuple[Any, ...],
    scratch: Scratch,
) -> list[Task]:
    """Running sums of each row, then a search per sample."""
    logits, state = ins
    sums = dense(scratch(logits.size * 8), "float64", logits.shape)
    body, blocks = f"running_masses<{logits.c_type}>", blocks_for(logits.shape[0])
    first = Launch("sampling.cuh", body, (logits,), (sums,), (), blocks, THREADS)
    drawn, blocks = (sums, state), blocks_for(outs[0].size)
    return [
        first,
        Launch("sampling.cuh", op.name, drawn, outs, (), blocks, THREADS),
    ]
