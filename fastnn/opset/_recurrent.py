# SPDX-License-Identifier: Apache-2.0
"""What the records of recurrent sequences share: shapes, walks, samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import typical, uniform

RECURRENT = "recurrent"
FLAGS = (Attr("masked", "bool", False), Attr("reverse", "bool", False))
ACTIVATION = Attr("activation", "enum", "tanh", ("tanh", "relu"))
TOL = Tol(4e-6, 1e-14, 2e-5)
NS_PER_FLOP = 0.02  # products of few rows, and the gates between them


# -- shapes ----------------------------------------------------------------------------


def _infer(name: str, inputs: str, outputs: str) -> Any:
    """Shapes from words: `4` is (batch, time, 4 units), `s` a state, `u3` (units, 3
    units), `b` (units,), `m` the mask, `0` is `1` or has no steps. The first `1` or `s`
    gives batch, time and units.
    """
    wanted = inputs.split()
    at = next(i for i, word in enumerate(wanted) if word in ("1", "s"))

    def shape(word: str, batch: int, time: int, units: int) -> tuple[int, ...]:
        if word[0] == "u":
            return (units, int(word[1:]) * units)
        found = {
            "s": (batch, units),
            "b": (units,),
            "m": (batch, time),
            "0": (batch, 0, units),
        }
        return found[word] if word in found else (batch, time, int(word) * units)

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        floats = [s for s, word in zip(specs, wanted, strict=True) if word != "m"]
        dtype = check_same_dtype(name, [s.dtype for s in floats])
        check_float(name, dtype)
        if specs[-1].dtype != "bool":
            raise DTypeError(f"[{name}] the mask must be bool, is {specs[-1].dtype}")
        first, known = specs[0].shape, specs[at].shape
        if len(first) != 3 or first[1] == 0 or len(known) < 2:
            raise ShapeError(
                f"[{name}] needs sequences (batch, time, columns) of one step or more, "
                f"received {first}"
            )
        sizes = (first[0], first[1], known[-1])
        for spec, word in zip(specs, wanted, strict=True):
            if word == "0" and spec.shape == shape("1", *sizes):
                continue
            if spec.shape != shape(word, *sizes):
                raise ShapeError(
                    f"[{name}] expected the shape {shape(word, *sizes)} for batch, "
                    f"steps and units {sizes}, received {spec.shape}"
                )
        return [Spec(shape(word, *sizes), dtype) for word in outputs.split()]

    return infer


def cost_of(gates: int) -> Any:
    def cost(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
        shape = next(s.shape for s in (*ins, *outs) if len(s.shape) == 2)
        steps = ins[0].shape[0] * ins[0].shape[1]
        return 2.0 * steps * gates * shape[1] * shape[1] * NS_PER_FLOP

    return cost


# -- what NumPy and tensors have in common ---------------------------------------------


class Arrays:
    """The few functions that are no operators, for NumPy."""

    tanh = staticmethod(np.tanh)
    where = staticmethod(np.where)

    @staticmethod
    def join(parts: list[Any], axis: int) -> Any:
        return np.concatenate(parts, axis)

    @staticmethod
    def transposed(x: Any) -> Any:
        return x.T

    @staticmethod
    def positive(x: Any) -> Any:
        return (x > 0).astype(x.dtype)


class Tensors:
    """The same for tensors."""

    def __init__(self, ops: Any) -> None:
        self.ops = ops
        self.tanh, self.where = ops.tanh, ops.where

    def join(self, parts: list[Any], axis: int) -> Any:
        while len(parts) > 1:  # neighbours: each element is moved log2(parts) times
            pairs = zip(parts[::2], parts[1::2], strict=False)
            odd = parts[len(parts) - len(parts) % 2 :]
            parts = [self.ops.concatenate(a, b, axis) for a, b in pairs] + odd
        return parts[0]

    def transposed(self, x: Any) -> Any:
        return self.ops.transpose(x, (1, 0))

    def positive(self, x: Any) -> Any:
        return self.ops.cast(self.ops.greater(x, 0), x.dtype)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def in_time(time: int, reverse: bool) -> list[int]:
    return list(range(time)[::-1] if reverse else range(time))


def parts(x: Any, t: int, units: int) -> list[Any]:
    """The gates at one step."""
    count = x.shape[2] // units
    return [x[:, t, k * units : (k + 1) * units] for k in range(count)]


def in_order(xp: Any, steps: dict[int, Any]) -> Any:
    """Values by step as (batch, time, columns)."""
    return xp.join([steps[t][:, None, :] for t in sorted(steps)], 1)


def walk(first: tuple, z: Any, mask: Any, flags: Any, step: Any) -> Any:
    """The way forward in NumPy: `step(t, state)` gives (state, gates)."""
    masked, reverse = flags
    state: tuple = first
    states: dict[int, Any] = {}
    kept: dict[int, Any] = {}
    for t in in_time(z.shape[1], reverse):
        new, gates = step(t, state)
        keep = mask[:, t, None] if masked else np.ones_like(mask[:, :1])
        state = tuple(np.where(keep, a, b) for a, b in zip(new, state, strict=True))
        states[t], kept[t] = state, np.where(keep, gates, 0).astype(z.dtype)
    every = [in_order(Arrays, {t: s[k] for t, s in states.items()}) for k in (0, -1)]
    return (*every, in_order(Arrays, kept))


def walk_back(xp: Any, like: Any, mask: Any, flags: Any, step: Any) -> Any:
    """The way back: dz at all steps, and what is carried to the first states.

    `step(t, before, carried)` gives (dz, what is carried to the step before, what a
    masked step carries there).
    """
    masked, reverse = flags
    time = like.shape[1]
    order = in_time(time, reverse)
    carried: list[Any] = []
    found: dict[int, Any] = {}
    for k in reversed(range(time)):
        t, before = order[k], order[k - 1] if k else None
        dz, carried, passed = step(t, before, carried)
        if masked:
            keep = mask[:, t : t + 1]
            dz = xp.where(keep, dz, 0.0)
            carried = [
                xp.where(keep, a, b) for a, b in zip(carried, passed, strict=True)
            ]
        found[t] = dz
    return (in_order(xp, found), *carried)


def states_before(states: Any, first: Any, reverse: bool, join: Any) -> Any:
    """The state before each step."""
    time = states.shape[1]
    start = first[:, None, :]
    if time == 1:
        return start
    rest = states[:, 1:] if reverse else states[:, :-1]
    return join([rest, start] if reverse else [start, rest], 1)


def kernel_gradient(c: Any, states: Any, slopes: Any) -> Any:
    """Sum over rows and steps of state^T slopes; both (batch, time, columns)."""
    x, y = as_rows(c, states), slopes
    y = as_rows(c, y) if len(y.shape) == 3 else y
    return c.op.matmul(c.op.transpose(x, (1, 0)), y)


def as_rows(c: Any, x: Any) -> Any:
    return c.op.reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))


def zeros(c: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return c.constant(np.broadcast_to(np.zeros((), dtype), shape))


# -- samples ---------------------------------------------------------------------------

SIZES = ((1, 1, 1), (0, 2, 3), (2, 3, 4), (3, 1, 5), (9, 3, 19), (2, 2, 50))
FLAG_CASES = ((False, False), (True, False), (False, True), (True, True))


def _samples(words: str, first: tuple = ((),)) -> Any:
    """Inputs by the words of `_infer`; `g` are values of gates, in (0, 1)."""

    def make(rng: Any, dtype: str, sizes: tuple = SIZES) -> Any:
        for batch, time, units in sizes:
            flags = FLAG_CASES if (batch, time) == (2, 3) else FLAG_CASES[::3]
            for masked, reverse in flags:
                for attrs in first:
                    arrays = []
                    for word in words.split():
                        count = int(word.strip("ugsbm") or 1)
                        shape = {
                            "s": (batch, units),
                            "b": (units,),
                            "m": (batch, time),
                            "u": (units, count * units),
                            "0": (batch, time if masked else 0, units),
                        }.get(word[0], (batch, time, count * units))
                        low = 0.1 if word[0] == "g" else -0.9
                        x = uniform(rng, shape, dtype, low, 0.9)
                        if word[0] == "u":
                            x = (x / np.sqrt(units)).astype(dtype)
                        arrays.append(x > -0.3 if word == "m" else x)
                    yield Sample(tuple(arrays), (*attrs, masked, reverse))

    return make


TYPICAL = ((32, 50, 64),)


def sequence_op(
    name: str, inputs: str, words: str, outputs: str, gives: str, **fields: Any
) -> None:
    first = fields.pop("first", ((),))
    op(
        name,
        inputs=inputs,
        outputs=outputs,
        attrs=(*((ACTIVATION,) if first != ((),) else ()), *FLAGS),
        infer=_infer(name, words.replace("g", ""), gives),
        kind=RECURRENT,
        samples=_samples(words, first),
        typical=typical(_samples(words, first), sizes=TYPICAL),
        tol=TOL,
        **fields,
    )
