# SPDX-License-Identifier: Apache-2.0
"""Control flow that depends on values, with Keras's names.

Eagerly these are Python's `if` and `for`. While a function is traced they become one op
(graph/control.py), or are unrolled where the number of rounds is known and small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastnn import tree
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.graph.control import loop, select, tracing
from fastnn.ops.arrays import concatenate, flip, moveaxis, stack, zeros
from fastnn.ops.indexing import slice_update, take

__all__ = [
    "associative_scan",
    "cond",
    "fori_loop",
    "map",
    "scan",
    "switch",
    "vectorized_map",
    "while_loop",
]

# Rounds that a trace writes out one by one: they fuse, run as one plan and can be
# differentiated any number of times. Each costs the trace about 0.1 ms per op.
UNROLLED = 256


def _known(value: Any) -> bool:
    """Whether a number can be looked at now: a variable's cannot while tracing."""
    if isinstance(value, Variable):
        return not tracing()
    return not (isinstance(value, Tensor) and value.is_symbolic)


def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` if pred holds, else `false_fn()`; only that one runs.

    Args:
        pred: bool, or a bool or number tensor of one element.
        true_fn, false_fn: take nothing and return tensors; in a traced function both
            return the same structure, shapes and dtypes.

    Returns:
        What the function returned.

    Raises:
        ShapeError: for a pred of several elements. ValueError, ShapeError, DTypeError:
            in a traced function, when the results differ in form.
    """
    if isinstance(pred, Tensor) and pred.size != 1:
        raise ShapeError(f"[cond] pred must have one element, received {pred.shape}")
    if _known(pred):
        return true_fn() if pred else false_fn()
    flag = raw.reshape(pred, ())
    flag = flag if flag.dtype == "bool" else raw.not_equal(flag, 0)
    return select("cond", flag, [false_fn, true_fn], [])


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, the index clamped into the range.

    Args:
        index: integer or integer tensor of one element.
        branches: functions of the operands; see `cond` for what they return.
        *operands: tensors or structures of tensors.
    """
    if not branches:
        raise ValueError("[switch] at least one branch is needed")
    if _known(index):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    leaves = [convert_to_tensor(t) for t in tree.flatten(operands)]

    def on_leaves(branch: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *ts: branch(*tree.pack_sequence_as(operands, list(ts)))

    functions = [on_leaves(branch) for branch in branches]
    return select("switch", raw.reshape(index, ()), functions, leaves)


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Runs `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds.

    Args:
        cond: returns a bool scalar.
        body: returns the next loop variables, of the same shapes and dtypes.
        loop_vars: a tuple or list of tensors or structures, or one tensor.
        maximum_iterations: rounds to stop after in any case.

    Returns:
        The last loop variables, in the structure of `loop_vars`.

    Raises:
        ValueError: when the body returns another number of them. ShapeError,
            DTypeError: in a traced function, when one changes its form.
    """
    single = not isinstance(loop_vars, (tuple, list))
    given = (loop_vars,) if single else tuple(loop_vars)
    state = tree.map_structure(convert_to_tensor, given)
    count = len(tree.flatten(state))

    def packed(leaves: Sequence[Any]) -> Any:
        return tree.pack_sequence_as(state, list(leaves))

    def step(*leaves: Any) -> list[Tensor]:
        found = body(*packed(leaves))
        found = (found,) if single and not isinstance(found, (tuple, list)) else found
        new = tree.flatten(tuple(found))
        if len(new) != count:
            raise ValueError(
                f"[while_loop] the body returned {len(new)} tensors for {count} loop "
                f"variables"
            )
        olds = tree.flatten(state)
        return [
            convert_to_tensor(t, None if isinstance(t, Tensor) else old.dtype)
            for t, old in zip(new, olds, strict=True)
        ]

    if tracing():
        leaves = loop(
            lambda *t: cond(*packed(t)), step, tree.flatten(state), maximum_iterations
        )
    else:
        leaves, done = tree.flatten(state), 0
        while (maximum_iterations is None or done < maximum_iterations) and cond(
            *packed(leaves)
        ):
            leaves, done = step(*leaves), done + 1
    result = packed(leaves)
    return result[0] if single else type(loop_vars)(result)


def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any
) -> Any:
    """`for i in range(lower, upper): val = body_fun(i, val)`.

    Args:
        lower, upper: integers or integer scalars.
        body_fun: of an int32 scalar and the value; returns the next value.
        init_val: tensor or structure of tensors.

    Returns:
        The last value.
    """
    value = tree.map_structure(convert_to_tensor, init_val)
    fixed = _known(lower) and _known(upper)
    if not tracing() or (fixed and int(upper) - int(lower) <= UNROLLED):
        for i in range(int(lower), int(upper)):
            value = body_fun(convert_to_tensor(i, "int32"), value)
        return value
    first, last = (_index(n) for n in (lower, upper))

    def body(i: Any, last: Any, value: Any) -> Any:
        return raw.add(i, 1), last, body_fun(i, value)

    return while_loop(lambda i, last, _: raw.less(i, last), body, (first, last, value))[
        2
    ]


def _index(n: Any) -> Tensor:
    t = convert_to_tensor(n, None if isinstance(n, Tensor) else "int32")
    return raw.reshape(t if t.dtype == "int32" else raw.cast(t, "int32"), ())


def _rows(name: str, xs: Any, length: int | None = None) -> tuple[Any, int]:
    """Tensors of a structure, and their common leading length."""
    tensors = tree.map_structure(convert_to_tensor, xs)
    leaves = [t for t in tree.flatten(tensors) if t is not None]
    if any(t.ndim == 0 for t in leaves):
        raise ShapeError(f"[{name}] a scalar has no leading axis to go along")
    lengths = {int(t.shape[0]) for t in leaves}
    if length is not None:
        lengths.add(length)
    if len(lengths) != 1:
        raise ShapeError(
            f"[{name}] one length is needed, received {sorted(lengths) or 'none'} from "
            f"the leading axes and `length`"
        )
    return tensors, lengths.pop()


def _row(xs: Any, i: Any) -> Any:
    return tree.map_structure(lambda t: None if t is None else t[i], xs)


def _stacked(rows: list[Any]) -> Any:
    if not rows:
        return None
    return tree.map_structure(
        lambda *t: None if t[0] is None else stack(list(t)), rows[0], *rows[1:]
    )


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> tuple[Any, Any]:
    """Carries a value along the leading axis and stacks what each step returns.

    Args:
        f: `f(carry, x)` returns (the next carry, y); either part may be None.
        init: the first carry, a structure of tensors.
        xs: structure of tensors of equal length, or None for `length` steps.
        length: number of steps; the length of xs by default.
        reverse: begin at the end; ys keep the order of xs.
        unroll: accepted; a trace writes out up to 256 steps.

    Returns:
        (last carry, ys), ys with a leading axis of the number of steps.

    Raises:
        ShapeError: for lengths that differ or are missing.
    """
    del unroll
    carry = tree.map_structure(
        lambda t: None if t is None else convert_to_tensor(t), init
    )
    tensors, count = (None, length) if xs is None else _rows("scan", xs, length)
    if count is None:
        raise ShapeError("[scan] give xs or length: neither says how many steps")
    steps = range(count)[::-1] if reverse else range(count)
    if tracing() and count > UNROLLED:
        return _long_scan(f, carry, tensors, count, reverse)
    found = []
    for i in steps:
        carry, y = f(carry, None if tensors is None else _row(tensors, i))
        found.append(y)
    return carry, _stacked(found[::-1] if reverse else found)


def _long_scan(
    f: Callable[..., Any], init: Any, xs: Any, count: int, reverse: bool
) -> tuple[Any, Any]:
    """The same as a loop: each step writes its row of ys."""

    def at(i: Any) -> Any:
        if xs is None:
            return None
        return tree.map_structure(lambda t: take(t, i, axis=0), xs)

    def rows_of(t: Tensor) -> Tensor:
        return zeros((count, *t.shape), t.dtype)

    first = count - 1 if reverse else 0
    _, sample = f(init, _row(xs, first) if xs is not None else None)
    ys = () if sample is None else tree.map_structure(rows_of, sample)

    def step(i: Any, value: Any) -> Any:
        carry, ys = value
        at_row = raw.subtract(count - 1, i) if reverse else i
        carry, y = f(carry, at(at_row))
        if sample is None:  # nothing to stack
            return carry, ys

        def put(rows: Tensor, row: Any) -> Tensor:
            start = [at_row, *[0] * (rows.ndim - 1)]
            return slice_update(rows, start, raw.reshape(row, (1, *row.shape)))

        return carry, tree.map_structure(put, ys, y)

    carry, ys = fori_loop(0, count, step, (init, ys))
    return carry, None if sample is None else ys


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each row of xs, stacked.

    Args:
        f: of one row (or a structure of rows).
        xs: tensor or structure of tensors with leading axes of equal length.

    Raises:
        ShapeError: for lengths that differ.
    """
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """`function` of each element along the leading axis, stacked: as `map`.

    Keras hands this to its backend's vectorizer; here each element is computed by
    itself, so prefer ops that take a batch where they exist.
    """
    return map(function, elements)


def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Running results of an associative function: y_0 = x_0, y_i = f(y_{i-1}, x_i).

    In log2(n) rounds of f on whole arrays (Blelloch 1990, Prefix sums and their
    applications).

    Args:
        f: of two structures like elems, along `axis` of any length.
        elems: tensor or structure of tensors, equally long along `axis`.
        reverse: from the end to the beginning.
        axis: to go along.

    Returns:
        The running results in the structure of elems.

    Raises:
        ShapeError: for lengths that differ.
    """
    leaves = tree.map_structure(
        lambda t: moveaxis(convert_to_tensor(t), axis, 0), elems
    )
    leaves, _ = _rows("associative_scan", leaves)

    def turned(t: Tensor) -> Tensor:
        return flip(t, axis=0) if reverse else t

    def along_axis(a: Any, b: Any) -> Any:
        back = tree.map_structure(lambda t: moveaxis(t, 0, axis), (a, b))
        found = f(*back)
        return tree.map_structure(
            lambda t: moveaxis(convert_to_tensor(t), axis, 0), found
        )

    done = _prefixes(along_axis, tree.map_structure(turned, leaves))
    return tree.map_structure(lambda t: moveaxis(turned(t), 0, axis), done)


def _prefixes(f: Callable[[Any, Any], Any], xs: Any) -> Any:
    """Running results along the leading axis: of pairs first, then between them."""
    count = tree.flatten(xs)[0].shape[0]
    if count < 2:
        return xs
    even, odd = _row(xs, slice(0, count - 1, 2)), _row(xs, slice(1, None, 2))
    odds = _prefixes(f, f(even, odd))
    inner = odds if count % 2 else _row(odds, slice(None, -1))
    rest = _row(xs, slice(2, None, 2))
    evens = f(inner, rest) if tree.flatten(rest)[0].shape[0] else rest
    first = _row(xs, slice(0, 1))
    evens = tree.map_structure(lambda a, b: concatenate([a, b], axis=0), first, evens)
    return tree.map_structure(_interleaved, evens, odds)


def _interleaved(a: Tensor, b: Tensor) -> Tensor:
    """a[0], b[0], a[1], b[1], ...; a may have one more."""
    n = b.shape[0]
    pairs = raw.reshape(stack([a[:n], b], axis=1), (2 * n, *a.shape[1:]))
    return concatenate([pairs, a[n:]], axis=0) if a.shape[0] > n else pairs
