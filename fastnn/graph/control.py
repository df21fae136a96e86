# SPDX-License-Identifier: Apache-2.0
"""Branches and loops of a traced function whose course depends on values.

`select` and `loop` put one op into the graph, which is made for the occasion and runs
the graphs of its parts (graph/branches.py). Such an op has no kernel: a function that
contains one runs node by node, its parts as plans.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import tree
from fastnn.autodiff._tape import apply, state
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.errors import DTypeError, ShapeError
from fastnn.graph.branches import Branch, connected, inline
from fastnn.graph.passes import optimize
from fastnn.graph.rounds import Rounds, counter_of
from fastnn.graph.runner import Runner
from fastnn.opset import OpDef, Spec
from fastnn.opset._dtypes import is_float
from fastnn.opset._opdef import EXACT, HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.graph.ir import Graph


def tracing() -> bool:
    """Whether a function is being traced in this thread."""
    return state().tracer is not None


def made_op(
    name: str, count: int, specs: list[Spec], ref: Any, vjp: Any, saves: bool = True
) -> OpDef:
    """An op for one place in one function; it is in no table."""
    inputs = tuple(f"x{i}" for i in range(count))
    return OpDef(
        name=name,
        inputs=inputs,
        outputs=tuple(f"y{i}" for i in range(len(specs))),
        attrs=(),
        infer=lambda *_: specs,
        code=0,
        kind=HOST,
        ref=lambda *arrays: _only(ref(list(arrays))),
        vjp=vjp,
        differentiable=vjp is not None,
        saves=inputs if saves else (),
        inplace=(),
        samples=None,
        tol=EXACT,
        cost=0.0,
        integers=True,
        broadcast="",
        typical=None,
        doc="",
    )


def _only(arrays: list[np.ndarray]) -> Any:
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def run_made(op: OpDef, tensors: list[Tensor]) -> list[Tensor]:
    """The outputs of such an op, also where it has one."""
    found = apply(op, tuple(tensors))
    return list(found) if isinstance(found, tuple) else [found]


def _specs(values: Any) -> list[Spec]:
    return [Spec(v.shape, v.dtype) for v in values]


# -- branches --------------------------------------------------------------------------


def select(
    name: str,
    index: Tensor,
    functions: list[Callable[..., Any]],
    operands: list[Tensor],
    align: Callable[[list[Branch]], None] | None = None,
) -> Any:
    """What the `index`-th function returns for the operands; inside a trace.

    Args:
        name: of the op, for errors.
        index: integer or bool scalar; True is 1. Too small or large ones are clamped.
        functions: return the same structure of the same shapes and dtypes.
        operands: tensors for the functions.
        align: may edit the results and outputs of the traced functions.
    """
    specs = _specs(operands)
    parts = [Branch(f, specs, name) for f in functions]
    if align is not None:
        align(parts)
    _same_results(name, parts)
    changed = {id(v): v for part in parts for v in part.assigned}
    for part in parts:
        part.graph.outputs += [part.final_value(v) for v in changed.values()]
    captured: dict[Any, Any] = {}
    for part in parts:
        captured |= part.captured
    for part in parts:
        part.take_inputs(captured, len(operands))
    if not parts[0].graph.outputs:
        return parts[0].result
    tensors = [index, *operands, *captured.values()]
    found = run_made(_select_op(name, parts), tensors)
    return _handed_out(parts[0].result, found, list(changed.values()))


def _handed_out(result: Any, found: list[Tensor], changed: list[Variable]) -> Any:
    """The results in their structure; the last outputs go into variables."""
    tracer = state().tracer
    count = len(found) - len(changed)
    for var, tensor in zip(changed, found[count:], strict=True):
        tracer.assign_variable(var, tensor)
    values = iter(found)
    return tree.map_structure(lambda t: None if t is None else next(values), result)


def _same_results(name: str, parts: list[Branch]) -> None:
    first = parts[0]
    wanted = _specs(first.graph.outputs)
    for i, part in enumerate(parts[1:], 1):
        try:
            tree.assert_same_structure(first.result, part.result)
        except ValueError as error:
            raise ValueError(f"[{name}] branches 0 and {i} differ: {error}") from None
        for a, b in zip(wanted, _specs(part.graph.outputs), strict=True):
            if a != b:
                kind = ShapeError if a.shape != b.shape else DTypeError
                raise kind(
                    f"[{name}] the branches must return the same shapes and dtypes: "
                    f"branch 0 returns {a.dtype}{list(a.shape)}, branch {i} "
                    f"{b.dtype}{list(b.shape)}"
                )


def _select_op(name: str, parts: list[Branch]) -> OpDef:
    graphs = [part.graph for part in parts]
    runners = [Runner(optimize(graph)) for graph in graphs]

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        at = min(max(int(arrays[0]), 0), len(runners) - 1)
        return runners[at](arrays[1:])

    def vjp(c: Any, *dys: Tensor | None) -> tuple[Any, ...]:
        index, *given = [getattr(c, x) for x in op.inputs]
        depends = sorted(set().union(*(connected(graph) for graph in graphs)))
        seeds = _seeds(graphs[0].outputs, dys)

        def backward(graph: Any) -> Callable[..., Any]:
            return lambda *ts: _vjp_of(
                graph, ts[: len(given)], ts[len(given) :], depends
            )

        operands = [*given, *seeds]
        found = select(f"{name}_grad", index, [backward(g) for g in graphs], operands)
        grads: list[Any] = [None] * (1 + len(given))
        for i, g in zip(depends, found, strict=True):
            grads[1 + i] = g
        return tuple(grads)

    specs = _specs(graphs[0].outputs)
    op = made_op(name, 1 + len(graphs[0].inputs), specs, run, vjp)
    return op


def _seeds(outputs: Any, dys: Any) -> list[Tensor]:
    """A cotangent for each float output; zeros where nobody asks."""
    return [
        Tensor(np.zeros(v.shape, v.dtype)) if dy is None else dy
        for v, dy in zip(outputs, dys, strict=True)
        if is_float(v.dtype)
    ]


def _vjp_of(graph: Any, given: Any, seeds: Any, sources: list[int]) -> list[Tensor]:
    """Gradients with respect to inputs of a graph, computed from the inputs again."""
    watched = [given[i] for i in sources]
    with GradientTape(persistent=True) as tape:
        tape.watch(watched)
        outputs = inline(graph, list(given))
    targets = [t for t in outputs if is_float(t.dtype)]
    found: list[Tensor] = tape.gradient(
        targets, watched, list(seeds), unconnected_gradients="zero"
    )
    return found


# -- calls -----------------------------------------------------------------------------


def graph_op(name: str, graph: Graph) -> OpDef:
    """A whole graph as one op for a tape: run as a plan, and so is its gradient.

    The gradient computes what it needs of the graph again: one more forward pass, but
    nothing of its inside is kept.
    """
    backward: dict[tuple[int, ...], OpDef] = {}

    def vjp(c: Any, *dys: Tensor | None) -> tuple[Any, ...]:
        given = [getattr(c, x) for x in op.inputs]
        wanted = tuple(i for i in depends if c.needs(op.inputs[i]))
        seeds = _seeds(graph.outputs, dys)
        if wanted not in backward:
            part = Branch(
                lambda *ts: _vjp_of(graph, ts[:count], ts[count:], list(wanted)),
                [*_specs(given), *_specs(seeds)],
                f"{name}_grad",
            )
            backward[wanted] = graph_op(f"{name}_grad", part.graph)
        found = iter(run_made(backward[wanted], [*given, *seeds]))
        return tuple(next(found) if i in wanted else None for i in range(count))

    count, depends = len(graph.inputs), sorted(connected(graph))
    run = Runner(optimize(graph))
    op = made_op(name, count, _specs(graph.outputs), run, vjp)
    return op


# -- loops -----------------------------------------------------------------------------


def loop(
    condition: Callable[..., Any],
    body: Callable[..., Any],
    state_in: list[Tensor],
    maximum: int | None,
) -> list[Tensor]:
    """Runs `body` on the state while `condition` holds; inside a trace.

    Args:
        condition: of the state's tensors; returns a bool scalar.
        body: of the state's tensors; returns a list of as many like them.
        state_in: tensors to begin with.
        maximum: number of rounds to stop after; None for no bound.
    """
    specs = _specs(state_in)
    carried: list[Variable] = []
    while True:  # what the body assigns is carried from round to round
        test = Branch(lambda *t: condition(*t), [*specs], "while_loop", carried)
        part = Branch(lambda *t: list(body(*t)), [*specs], "while_loop", carried)
        new = [v for v in part.assigned if not any(v is known for known in carried)]
        if not new:
            break
        carried += new
    if test.assigned:
        raise ValueError(
            f"[while_loop] the condition assigns {test.assigned[0].path}: assign "
            f"variables in the body"
        )
    _check_state(specs, part, test)
    part.graph.outputs += [part.final_value(v) for v in carried]
    count = len(specs) + len(carried)
    captured = test.captured | part.captured
    test.take_inputs(captured, count)
    part.take_inputs(captured, count)
    op = _loop_op(test.graph, part.graph, count, maximum)
    found = run_made(op, [*state_in, *carried, *captured.values()])
    handed: list[Tensor] = _handed_out(list(state_in), found, carried)
    return handed


def _check_state(specs: list[Spec], part: Branch, test: Branch) -> None:
    found = _specs(part.graph.outputs)
    if len(found) != len(specs):
        raise ValueError(
            f"[while_loop] the body returns {len(found)} tensors for {len(specs)} loop "
            f"variables"
        )
    for i, (a, b) in enumerate(zip(specs, found, strict=True)):
        if a != b:
            kind = ShapeError if a.shape != b.shape else DTypeError
            raise kind(
                f"[while_loop] loop variable {i} is {a.dtype}{list(a.shape)} before "
                f"the body and {b.dtype}{list(b.shape)} after it: it must stay the same"
            )
    tests = test.graph.outputs
    if len(tests) != 1 or tests[0].size != 1:
        raise ValueError(
            f"[while_loop] the condition must return one bool, received shapes "
            f"{[v.shape for v in tests]}"
        )


def _loop_op(test: Any, body: Any, count: int, maximum: int | None) -> OpDef:
    counter = counter_of(test, body, count)
    goes_on, step = Runner(optimize(test)), Runner(optimize(body))
    natively = None if counter is None else Rounds(body, count)

    def rounds(arrays: list[np.ndarray]) -> Any:
        """The state before each round, and at last the final one."""
        now, rest = arrays[:count], arrays[count:]
        yield now
        done = 0
        while (maximum is None or done < maximum) and bool(goes_on([*now, *rest])[0]):
            now = step([*now, *rest])
            yield now
            done += 1

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        if counter is not None and natively is not None and natively.possible:
            number = counter.rounds(arrays)
            if number is not None and number > 1:
                return natively(
                    arrays, number if maximum is None else min(number, maximum)
                )
        last: list[np.ndarray] = deque(rounds(arrays), maxlen=1).pop()
        return last

    def vjp(c: Any, *dys: Tensor | None) -> tuple[Any, ...]:
        given = [getattr(c, x) for x in op.inputs]
        return _loop_gradient(rounds, body, count, given, dys)

    specs = _specs(body.outputs)
    op = made_op("while_loop", len(body.inputs), specs, run, vjp)
    return op


def _loop_gradient(
    rounds: Any, body: Any, count: int, given: list[Tensor], dys: Any
) -> tuple[Any, ...]:
    """Runs the loop again, keeps its states, and goes back through them."""
    floats = [i for i in range(count) if is_float(given[i].dtype)]
    inner = [i for i in sorted(connected(body)) if i >= count]
    seeds = _seeds(body.outputs, dys)
    sources = [*floats, *inner]

    def back(*ts: Tensor) -> list[Tensor]:
        return _vjp_of(body, ts[: len(given)], ts[len(given) :], sources)

    part = Branch(back, [*_specs(given), *_specs(seeds)], "while_loop_grad")
    step = Runner(optimize(part.graph))

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        start, grads = arrays[: len(given)], arrays[len(given) :]
        sums = [np.zeros(given[i].shape, given[i].dtype) for i in inner]
        *states, _ = rounds(start)
        for now in reversed(states):
            found = step([*now, *start[count:], *grads])
            grads = found[: len(floats)]
            for total, more in zip(sums, found[len(floats) :], strict=True):
                total += more
        return [*grads, *sums]

    def vjp(c: Any, *dys: Tensor | None) -> tuple[Any, ...]:
        values = [getattr(c, x) for x in op.inputs]
        return _second_order(rounds, body, count, sources, values, len(given), dys)

    specs = [Spec(given[i].shape, given[i].dtype) for i in sources]
    op = made_op("while_loop_grad", len(given) + len(seeds), specs, run, vjp)
    found = run_made(op, [*given, *seeds])
    result: list[Any] = [None] * len(given)
    for i, g in zip(sources, found, strict=True):
        result[i] = g
    return tuple(result)


def _second_order(
    rounds: Any,
    body: Any,
    count: int,
    sources: list[int],
    values: list[Tensor],
    number: int,
    dys: Any,
) -> tuple[Any, ...]:
    """The gradient of a loop's gradient: the loop once more, on tapes in tapes.

    `values` are the loop's `number` inputs, then the cotangents of its results; `dys`
    those of the gradients of `sources`.
    """
    floats = [i for i, t in enumerate(values) if is_float(t.dtype)]
    tangents = [
        Tensor(np.zeros(values[i].shape, values[i].dtype)) if dy is None else dy
        for i, dy in zip(sources, dys, strict=True)
    ]

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        xs = [Tensor(a) for a in arrays]
        times = sum(1 for _ in rounds(arrays[:number])) - 1
        with init_scope(), GradientTape() as outer:
            outer.watch([xs[i] for i in floats])
            with GradientTape() as inner:
                inner.watch([xs[i] for i in sources])
                now = xs[:count]
                for _ in range(times):
                    now = inline(body, [*now, *xs[count:number]])
            grads = inner.gradient(
                [t for t in now if is_float(t.dtype)],
                [xs[i] for i in sources],
                xs[number : len(values)],
                unconnected_gradients="zero",
            )
            found = outer.gradient(
                grads,
                [xs[i] for i in floats],
                xs[len(values) :],
                unconnected_gradients="zero",
            )
        return [np.array(g._array) for g in found]

    specs = [Spec(values[i].shape, values[i].dtype) for i in floats]
    inputs = [*values, *tangents]
    op = made_op("while_loop_grad_grad", len(inputs), specs, run, _no_third, False)
    found = run_made(op, inputs)
    result: list[Any] = [None] * len(values)
    for i, g in zip(floats, found, strict=True):
        result[i] = g
    return tuple(result)


def _no_third(c: Any, *dys: Any) -> Any:
    raise NotImplementedError(
        "[while_loop] a traced loop can be differentiated twice, not three times: use "
        "fori_loop or scan with a length known while tracing, or run eagerly"
    )
