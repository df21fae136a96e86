# SPDX-License-Identifier: Apache-2.0
"""`remat`: functions whose insides are computed a second time for the gradient.

A tape keeps the inputs of such a block and nothing of its inside. Its gradient runs the
function again, with the variables as they were, and differentiates that. What the
function assigned (dropout's step, moving averages) is assigned once only.

In a plan, the nodes of a block carry the number of their region, and so do those of its
gradient: regions share no subexpressions (or the second computation would be taken for
the first), and the scheduler runs them one after the other, so that the memory of one
serves the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastnn import tree
from fastnn.autodiff._tape import Tape, record_custom, state
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor, Variable, living_variables, variables_among
from fastnn.opset._dtypes import is_float


class _Local(threading.local):
    def __init__(self) -> None:
        self.depth = 0  # blocks being computed, for the first or the second time


_local = _Local()


def refuse(what: str, why: str) -> None:
    """Raise when a block is being computed.

    Raises:
        RuntimeError: `what` inside a block would lose its gradient.
    """
    if _local.depth:
        raise RuntimeError(f"[remat] {what} inside a rematerialized block: {why}")


def remat(f: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function compute its intermediates again in the backward pass.

    Less memory for more work: while a tape records (or a plan trains), only the
    inputs of `f` are kept, not what it computes on the way to its outputs.

    Args:
        f: function of tensors (or structures of them) that returns tensors; it may
            read variables, and assign those that are not trained. A layer is changed
            instead: its calls are rematerialized from then on, and it is returned.

    Returns:
        A function with the arguments and results of `f`, or the layer.

    Example:
        >>> w = fastnn.Variable(np.ones((3, 4), "float32"))
        >>> block = fastnn.remat(lambda x: ops.relu(ops.matmul(x, w)))
        >>> block(np.ones((2, 3), "float32")).shape
        (2, 4)
    """
    if hasattr(f, "_remat_mode"):
        f._remat_mode = RematScope("full")
        return f

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if _local.depth or not any(not tape.paused for tape in state().tapes):
            return f(*args, **kwargs)
        return _Block(f, args, kwargs).outputs

    wrapped.__name__ = getattr(f, "__name__", "function")
    wrapped.__doc__ = f.__doc__
    return wrapped


class _Block:
    """One call of a rematerialized function; stands in the tape for its gradient."""

    saves: tuple[str, ...] = ()
    attrs: tuple = ()

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.name = getattr(f, "__name__", "function")
        self._f = f
        self._arguments = args, kwargs
        leaves = tree.flatten(self._arguments)
        tensors = [t for t in leaves if isinstance(t, Tensor)]
        self._inputs = [t for t in tensors if not isinstance(t, Variable)]
        self._before = _values()
        watcher = Tape()
        with _region(), _tapes([watcher]):
            for t in self._inputs:
                if is_float(t.dtype):
                    watcher.watch(t)
            results = f(*args, **kwargs)
        own = {t._id for t in self._inputs}
        self._variables = variables_among(watcher.watched - own)
        self._before.keep_changed()
        outputs = [_copy(t) for t in tree.flatten(results)]
        self.outputs = tree.pack_sequence_as(results, outputs)
        self.inputs = tuple(
            f"x{i}" for i in range(len(self._inputs) + len(self._variables))
        )
        self._specs = [(t.shape, t.dtype) for t in outputs]
        record_custom(self, (*self._inputs, *self._variables), outputs)

    def vjp(self, c: Any, *dys: Tensor | None) -> tuple[Any, ...]:
        args, kwargs = self._arguments
        sources = [*self._inputs, *self._variables]
        with _region():
            with self._before.restored(), GradientTape() as tape:
                tape.watch([t for t in self._inputs if is_float(t.dtype)])
                results = tree.flatten(self._f(*args, **kwargs))
            used = [i for i, dy in enumerate(dys) if dy is not None]
            targets, seeds = [results[i] for i in used], [dys[i] for i in used]
            return tuple(tape.gradient(targets, sources, seeds))


def _copy(t: Any) -> Any:
    """The same value with an id of its own: the tape sees the block as one op."""
    if not isinstance(t, Tensor):
        raise TypeError(
            f"[remat] the function must return tensors, received {type(t).__name__}"
        )
    return t._snapshot()._alias()


@contextmanager
def _tapes(tapes: list[Tape]) -> Iterator[None]:
    """Records on these tapes only."""
    current = state()
    saved, current.tapes = current.tapes, tapes
    try:
        yield
    finally:
        current.tapes = saved


@contextmanager
def _region() -> Iterator[None]:
    """Inside a block; nodes that are traced meanwhile get a number of their own."""
    tracer = state().tracer
    opened = tracer is not None and tracer.open_region()
    _local.depth += 1
    try:
        yield
    finally:
        _local.depth -= 1
        if opened:
            tracer.close_region()


def _values() -> _Values | _TracedValues:
    tracer = state().tracer
    return _Values() if tracer is None else _TracedValues(tracer)


class _Values:
    """What all variables held at one moment; later, of those that changed only."""

    def __init__(self) -> None:
        self._held = [(v, v._array) for v in living_variables()]

    def keep_changed(self) -> None:
        self._held = [(v, array) for v, array in self._held if v._array is not array]

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Those values again, for a while."""
        now = [(v, v._array) for v, _ in self._held]
        self._set(self._held)
        try:
            yield
        finally:
            self._set(now)

    def _set(self, values: list[tuple[Variable, Any]]) -> None:
        for variable, array in values:
            variable._array = array
            variable._shared = True  # also held here


class _TracedValues:
    """The same, while a function is traced."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self._held = tracer.variable_values()

    def keep_changed(self) -> None:
        """Nothing: these are no arrays, only names of values."""

    @contextmanager
    def restored(self) -> Iterator[None]:
        now = self._tracer.variable_values()
        self._tracer.set_variable_values(self._held)
        try:
            yield
        finally:
            self._tracer.set_variable_values(now)


MODES = ("full", "activations", "larger_than", "list_of_layers", None)
_scopes: list[RematScope] = []


class RematScope:
    """Context in which layers are made that rematerialize their calls.

    Args:
        mode: `"full"`: every layer; `"activations"`: only the activation of layers
            that have one; `"larger_than"`: layers with more outputs per sample than
            `output_size_threshold`; `"list_of_layers"`: those named in `layer_names`;
            None: no layer.
        output_size_threshold: for `"larger_than"`.
        layer_names: for `"list_of_layers"`.

    Example:
        >>> with fastnn.RematScope("full"):
        ...     block = keras.layers.Dense(512, activation="gelu")
    """

    def __init__(
        self,
        mode: str | None = "full",
        output_size_threshold: int = 1024,
        layer_names: Any = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(
                f"[RematScope] mode must be one of {', '.join(map(repr, MODES))}, "
                f"received {mode!r}."
            )
        self.mode = mode
        self.output_size_threshold = output_size_threshold
        self.layer_names = list(layer_names or ())

    def __enter__(self) -> RematScope:
        _scopes.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _scopes.pop()


def current_scope() -> RematScope | None:
    """The innermost scope that asks for something."""
    return _scopes[-1] if _scopes and _scopes[-1].mode else None
