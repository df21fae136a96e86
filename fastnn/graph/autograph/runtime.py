# SPDX-License-Identifier: Apache-2.0
"""What rewritten code calls: Python's course for Python values, ops for tensors.

Only a condition whose value is not known while tracing takes the second way, so code
without tensors means what it meant before.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.graph.autograph.values import Missing, Split, join_branches
from fastnn.graph.control import loop, select

Names = Sequence[str]
_NUMBERS = (bool, int, float, np.ndarray, np.generic)


def unknown(x: Any) -> bool:
    """Whether a value will only be known when the traced function runs."""
    if state().tracer is None or not isinstance(x, Tensor):
        return False
    return x.is_symbolic or isinstance(x, Variable)


def value(get: Callable[[], Any], name: str) -> Any:
    """What a name holds, or a stand-in that complains when it is used."""
    try:
        return get()
    except NameError:
        return Missing(name, "it has no value here")


def _flag(test: Tensor) -> Tensor:
    from fastnn.autodiff import raw

    if test.size != 1:
        raise ValueError(
            f"[function] a condition must be one bool, received a tensor of shape "
            f"{test.shape}: use ops.any or ops.all"
        )
    one = raw.reshape(test, ())
    return one if one.dtype == "bool" else raw.not_equal(one, 0)


# -- branches --------------------------------------------------------------------------


def if_stmt(
    test: Any,
    then: Callable[..., Any],
    other: Callable[..., Any],
    names: Names,
    values: tuple[Any, ...],
) -> tuple[Any, ...]:
    """`if test: ... else: ...`; what the names hold afterwards."""
    if not unknown(test):
        chosen: tuple[Any, ...] = (then if test else other)(*values)
        return chosen
    found: tuple[Any, ...] = tuple(_branches(test, then, other, names, values))
    return found


def if_return(
    test: Any,
    then: Callable[..., Any],
    other: Callable[..., Any],
    names: Names,
    values: tuple[Any, ...],
) -> Any:
    """An `if` whose branches both return: what the function returns."""
    if not unknown(test):
        return (then if test else other)(*values)

    def only(branch: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *values: (branch(*values),)

    return _branches(test, only(then), only(other), ("the result",), values)[0]


def _branches(
    test: Tensor, then: Any, other: Any, names: Names, values: tuple[Any, ...]
) -> list[Any]:
    sides: list[Any] = [None, None]

    def side(k: int, branch: Callable[..., Any]) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            sides[k] = list(branch(*values))
            return [
                v if isinstance(v, Tensor) else None for v in tree.flatten(sides[k])
            ]

        return run

    joined: list[Any] = []

    def align(parts: list[Any]) -> None:
        joined.extend(join_branches(sides, parts, names))

    tensors = select(
        "if", _flag(test), [side(0, other), side(1, then)], [], align=align
    )
    given = iter([t for t in tensors if t is not None])
    return [
        tree.map_structure(lambda v: next(given) if v is Split else v, x)
        for x in joined
    ]


def if_exp(test: Any, then: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """`then() if test else other()`."""
    return if_return(test, then, other, (), ())


def and_(*parts: Callable[[], Any]) -> Any:
    """`a and b`: what follows a False is not computed, unless tensors are unknown."""
    return _logical(parts, "logical_and", stops_at=False)


def or_(*parts: Callable[[], Any]) -> Any:
    """`a or b`."""
    return _logical(parts, "logical_or", stops_at=True)


def _logical(parts: Sequence[Callable[[], Any]], name: str, stops_at: bool) -> Any:
    from fastnn.autodiff import raw

    left = parts[0]()
    for part in parts[1:]:
        if not unknown(left):
            if bool(left) is stops_at:
                return left
            left = part()
            continue
        right = part()
        if not unknown(right) and not isinstance(right, Tensor):
            right = convert_to_tensor(bool(right))
        left = getattr(raw, name)(_flag(left), _flag(right))
    return left


def not_(x: Any) -> Any:
    """`not x`."""
    from fastnn.autodiff import raw

    return raw.logical_not(_flag(x)) if unknown(x) else not x


# -- loops -----------------------------------------------------------------------------


def while_stmt(
    test: Callable[..., Any],
    body: Callable[..., Any],
    names: Names,
    values: tuple[Any, ...],
) -> tuple[Any, ...]:
    """`while test: body`; what the names hold afterwards."""
    while True:
        goes_on = test(*values)
        if unknown(goes_on):
            return _tensor_loop(test, body, names, values)
        if not goes_on:
            return values
        values = body(*values)


def for_stmt(
    items: Any,
    body: Callable[..., Any],
    stop: str | None,
    names: Names,
    values: tuple[Any, ...],
) -> tuple[Any, ...]:
    """`for item in items: body`; `stop` names the flag that a break sets."""
    tracing = state().tracer is not None
    if isinstance(items, TensorRange) and items.unknown:
        return _over_range(items, body, stop, names, values)
    if tracing and isinstance(items, Tensor):
        rows = TensorRange(0, items.shape[0])

        def on_row(i: Any, *values: Any) -> Any:
            return body(items[i], *values)

        return _over_range(rows, on_row, stop, names, values)
    at = None if stop is None else list(names).index(stop)
    for item in items:
        if at is None or not unknown(values[at]):
            if at is not None and values[at]:
                break
            values = body(item, *values)
        else:  # a break that depends on a tensor: the round runs or it does not
            values = if_stmt(
                not_(values[at]),
                lambda *v, item=item: body(item, *v),
                lambda *v: v,
                names,
                values,
            )
    return values


def _over_range(
    items: TensorRange, body: Any, stop: str | None, names: Names, values: Any
) -> tuple[Any, ...]:
    from fastnn.autodiff import raw

    first, last, step = (convert_to_tensor(n, "int32") for n in items.bounds)
    at = None if stop is None else list(names).index(stop)

    def test(i: Any, *values: Any) -> Any:
        if unknown(step):
            inside = raw.where(
                raw.greater(step, 0), raw.less(i, last), raw.greater(i, last)
            )
        else:
            inside = (raw.less if int(step) > 0 else raw.greater)(i, last)
        return inside if at is None else and_(lambda: not_(values[at]), lambda: inside)

    def step_body(i: Any, *values: Any) -> Any:
        return (raw.add(i, step), *body(i, *values))

    found = _tensor_loop(test, step_body, ("the counter", *names), (first, *values))
    return tuple(found[1:])


def _tensor_loop(test: Any, body: Any, names: Names, values: Any) -> tuple[Any, ...]:
    """A loop of unknown length. Names without a value live for one round only."""
    carried = [i for i, v in enumerate(values) if not isinstance(v, Missing)]
    structure = [_as_tensors(values[i]) for i in carried]
    leaves = [t for t in tree.flatten(structure) if isinstance(t, Tensor)]

    def filled(tensors: Sequence[Any]) -> list[Any]:
        given = iter(tensors)
        full = list(values)
        for i, like in zip(carried, structure, strict=True):
            full[i] = tree.map_structure(
                lambda v: next(given) if isinstance(v, Tensor) else v, like
            )
        return full

    def step(*tensors: Any) -> list[Tensor]:
        after = body(*filled(tensors))
        out: list[Tensor] = []
        for i, like in zip(carried, structure, strict=True):
            _same_form(names[i], like, after[i])
            for old, new in zip(
                tree.flatten(like), tree.flatten(after[i]), strict=True
            ):
                if isinstance(old, Tensor):
                    own = isinstance(new, Tensor)
                    out.append(convert_to_tensor(new, None if own else old.dtype))
                elif new is not old and new != old:
                    raise ValueError(
                        f"[function] {names[i]!r} changes from {old!r} to {new!r} in a "
                        f"loop whose length is not known: only tensors can"
                    )
        return out

    found = loop(
        lambda *t: _flag(convert_to_tensor(test(*filled(t)))), step, leaves, None
    )
    result = filled(found)
    for i, v in enumerate(values):
        if isinstance(v, Missing):
            result[i] = Missing(names[i], "it gets one only inside a loop over tensors")
    return tuple(result)


def _as_tensors(value: Any) -> Any:
    """Numbers become tensors, for they may change from round to round."""
    return tree.map_structure(
        lambda v: convert_to_tensor(v) if isinstance(v, _NUMBERS) else v, value
    )


def _same_form(name: str, before: Any, after: Any) -> None:
    if isinstance(after, Missing):
        raise after.error()
    try:
        tree.assert_same_structure(before, after)
    except ValueError as error:
        raise ValueError(
            f"[function] {name!r} changes its form in a loop whose length is not "
            f"known: {error}"
        ) from None


class TensorRange:
    """`range` whose bounds may be tensors."""

    def __init__(self, *bounds: Any) -> None:
        start, stop, step = {
            1: lambda: (0, *bounds, 1),
            2: lambda: (*bounds, 1),
            3: lambda: bounds,
        }[len(bounds)]()
        self.bounds = start, stop, step
        self.unknown = any(unknown(b) for b in self.bounds)

    def __iter__(self) -> Any:
        return iter(builtins.range(*(int(b) for b in self.bounds)))


# -- calls -----------------------------------------------------------------------------


def called(f: Any) -> Any:
    """What is called in the place of f: the user's functions are rewritten too."""
    from fastnn.graph.autograph.convert import convert_inner

    if f is builtins.range:
        return _range
    if getattr(f, "__name__", "") == "arange" and f.__module__.startswith("fastnn."):
        return _tf_range(f)
    return convert_inner(f)


def _tf_range(arange: Callable[..., Any]) -> Callable[..., Any]:
    """`tf.range`, also up to a number that is not known yet: in the head of a loop."""

    def call(*bounds: Any, **options: Any) -> Any:
        if any(unknown(b) for b in bounds) and not options:
            return TensorRange(*bounds)
        return arange(*bounds, **options)

    return call


def _range(*bounds: Any) -> Iterable[int] | TensorRange:
    if any(unknown(b) for b in bounds):
        return TensorRange(*bounds)
    return builtins.range(*bounds)
