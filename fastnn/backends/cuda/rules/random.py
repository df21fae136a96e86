# SPDX-License-Identifier: Apache-2.0
"""Random numbers: a thread per element, the CPU's streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.launches import Launch, Task, dense
from fastnn.backends.cuda.rules import THREADS, blocks_for, rule

if TYPE_CHECKING:
    from fastnn.backends.cuda.rules import Call

WARP = 32


@rule("random_uniform", "random_normal", "truncated_normal", "dropout")
def draws(call: Call) -> list[Task]:
    """`name<dtype>`; attributes that are no numbers are in the output already."""
    pairs = zip(call.op.attrs, call.attrs, strict=True)
    numbers = tuple(float(v) for a, v in pairs if a.kind == "float")
    body = f"{call.op.name}<{call.outs[0].c_type}>"
    blocks = blocks_for(call.outs[0].size)
    return [Launch("random.cuh", body, call.ins, call.outs, numbers, blocks, THREADS)]


@rule("random_integers", "random_gamma", "random_beta", "random_binomial")
def samples(call: Call) -> list[Task]:
    """`name<dtype>`, drawn by rejection."""
    pairs = zip(call.op.attrs, call.attrs, strict=True)
    numbers = tuple(int(v) for a, v in pairs if a.kind == "int")
    body = f"{call.op.name}<{call.outs[0].c_type}>"
    blocks = blocks_for(call.outs[0].size)
    return [Launch("sampling.cuh", body, call.ins, call.outs, numbers, blocks, THREADS)]


@rule("random_permutation")
def permutation(call: Call) -> list[Task]:
    """One thread."""
    return [Launch("sampling.cuh", call.op.name, call.ins, call.outs, (), 1, WARP)]


@rule("random_categorical")
def categorical(call: Call) -> list[Task]:
    """Running sums of each row, then a search per sample."""
    logits, state = call.ins
    sums = dense(call.scratch(logits.size * 8), "float64", logits.shape)
    body, blocks = f"running_masses<{logits.c_type}>", blocks_for(logits.shape[0])
    first = Launch("sampling.cuh", body, (logits,), (sums,), (), blocks, THREADS)
    drawn, blocks = (sums, state), blocks_for(call.outs[0].size)
    return [
        first,
        Launch("sampling.cuh", call.op.name, drawn, call.outs, (), blocks, THREADS),
    ]
