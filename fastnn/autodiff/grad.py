# SPDX-License-Identifier: Apache-2.0
"""`GradientTape`, `grad`, `value_and_grad`, `stop_gradient`, `custom_gradient`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import tree
from fastnn.autodiff import raw
from fastnn.autodiff._tape import (
    ContextBase,
    Tape,
    record_custom,
    set_context_class,
    state,
)
from fastnn.autodiff.tensor import (
    Tensor,
    Variable,
    convert_to_tensor,
    variables_among,
)
from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._dtypes import is_float

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Context(ContextBase):
    """What a vjp sees; `c.op` are the strict functions."""

    __slots__ = ()
    op = raw

    def constant(self, array: np.ndarray) -> Tensor:
        return Tensor(array)

    def pullback(
        self, function: Callable[..., Any], inputs: Any, cotangents: Any
    ) -> list[Tensor | None]:
        """Gradients of `function(*inputs)`, a tuple, for the inputs, by its own ops.

        Args:
            function: what the op computes, written with ops.
            inputs: float tensors.
            cotangents: one per output, or None.
        """
        with GradientTape(persistent=True) as tape:
            tape.watch(list(inputs))
            outputs = function(*inputs)
        pairs = [
            (y, g) for y, g in zip(outputs, cotangents, strict=True) if g is not None
        ]
        found: list[Tensor | None] = tape.gradient(
            [y for y, _ in pairs], list(inputs), [g for _, g in pairs]
        )
        return found


set_context_class(Context)


class GradientTape:
    """Records ops on watched tensors to differentiate them in reverse mode.

    Args:
        persistent: keep the record after `gradient`, for several calls.
        watch_accessed_variables: record trainable variables without `watch`.

    Example:
        >>> x = fastnn.Variable(3.0)
        >>> with fastnn.GradientTape() as tape:
        ...     y = x * x
        >>> float(tape.gradient(y, x))
        6.0
    """

    def __init__(
        self, persistent: bool = False, watch_accessed_variables: bool = True
    ) -> None:
        self._persistent = persistent
        self._tape = Tape(watch_accessed_variables)
        self._used = False

    def __enter__(self) -> GradientTape:
        state().tapes.append(self._tape)
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave()

    def _leave(self) -> None:
        tapes = state().tapes
        for i in range(len(tapes) - 1, -1, -1):
            if tapes[i] is self._tape:
                del tapes[i]

    def watch(self, tensor: Any) -> None:
        """Record what is done with `tensor` (or a structure of tensors)."""
        for t in tree.flatten(tensor):
            if not isinstance(t, Tensor):
                raise TypeError(
                    f"[GradientTape.watch] needs tensors, received {type(t).__name__}"
                )
            if not is_float(t.dtype):
                raise DTypeError(
                    f"[GradientTape.watch] only float tensors have gradients, "
                    f"received {t.dtype}"
                )
            self._tape.watch(t)

    def stop_recording(self) -> Any:
        """Context in which nothing is recorded on this tape."""
        return _Paused([self._tape])

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._tape.clear()
        self._used = False

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str = "none",
    ) -> Any:
        """Gradient of the sum of `target` (one or a structure) w.r.t. `sources`.

        Args:
            target: tensor or structure of tensors; several are summed.
            sources: tensor, variable or structure; the result has its structure.
            output_gradients: cotangents of the targets; ones by default.
            unconnected_gradients: "none" gives None, "zero" zeros, for sources that
                the target does not depend on.

        Raises:
            RuntimeError: called twice on a tape that is not persistent.
            TypeError: for sources that are no tensors; ShapeError: for an output
                gradient of another shape than its target.
        """
        leaves = tree.flatten(sources)
        _check_request(leaves, unconnected_gradients)
        if self._used and not self._persistent:
            self._refuse_second()
        if not self._persistent:
            self._leave()  # gradient() inside the with block: stop recording here
        self._used = True
        targets = [convert_to_tensor(t) for t in tree.flatten(target)]
        seeds = (
            [None] * len(targets)
            if output_gradients is None
            else tree.flatten(output_gradients)
        )
        found = backward(self._tape, targets, seeds, leaves, not self._persistent)
        if not self._persistent:
            self._tape.clear()
        if unconnected_gradients == "zero":
            found = [
                Tensor(np.zeros(s.shape, s.dtype)) if g is None else g
                for g, s in zip(found, leaves, strict=True)
            ]
        return tree.pack_sequence_as(sources, found)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Derivative of each element of `target` by each of `sources`.

        Args:
            target: a tensor.
            sources: tensor, variable or structure of them.
            unconnected_gradients: as for `gradient`.
            parallel_iterations, experimental_use_pfor: accepted, as TensorFlow's.

        Returns:
            In the structure of sources: tensors (*target.shape, *source.shape), None
            where nothing is connected.
        """
        from fastnn.autodiff import jacobians

        return jacobians.jacobian(self, target, sources, unconnected_gradients)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """Jacobians of rows: of target[i] by source[i], for each i.

        Right only where target[i] follows from source[i] alone.

        Returns:
            A tensor (rows, *target.shape[1:], *source.shape[1:]), or None.

        Raises:
            ShapeError: when the numbers of rows differ.
        """
        from fastnn.autodiff import jacobians

        return jacobians.batch_jacobian(self, target, source, unconnected_gradients)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Several gradients of a tape that allows only one; erased at the end."""
        if self._used and not self._persistent:
            self._refuse_second()
        before, self._persistent = self._persistent, True
        if not before:
            self._leave()
        try:
            yield
        finally:
            self._persistent = before
            if not before:
                self._tape.clear()

    def _refuse_second(self) -> None:
        raise RuntimeError(
            "[GradientTape.gradient] this tape was already used and its record is "
            "gone: GradientTape(persistent=True) allows several calls"
        )


def _check_request(sources: list[Any], unconnected: str) -> None:
    if unconnected not in ("none", "zero"):
        raise ValueError(
            f"[GradientTape.gradient] unconnected_gradients must be 'none' or 'zero', "
            f"received {unconnected!r}"
        )
    for s in sources:
        if not isinstance(s, Tensor):
            raise TypeError(
                f"[GradientTape.gradient] sources must be tensors or variables, "
                f"received {type(s).__name__}: convert_to_tensor(x) and tape.watch(x) "
                f"before the computation"
            )


class _Paused:
    def __init__(self, tapes: list[Tape]) -> None:
        self._tapes = tapes

    def __enter__(self) -> None:
        self._before = [t.paused for t in self._tapes]
        for t in self._tapes:
            t.paused = True

    def __exit__(self, *exc: object) -> None:
        for t, before in zip(self._tapes, self._before, strict=True):
            t.paused = before


def backward(
    tape: Tape,
    targets: list[Tensor],
    seeds: list[Any],
    sources: list[Any],
    once: bool,
) -> list[Tensor | None]:
    """Cotangents of `sources`, None where nothing connects them to the targets.

    With `once` the tape loses each record as its gradient is taken.
    """
    grads: dict[int, Tensor] = {}
    if len(targets) != len(seeds):
        raise ValueError(
            f"[GradientTape.gradient] {len(targets)} targets need as many "
            f"output_gradients, received {len(seeds)}"
        )
    for t, seed in zip(targets, seeds, strict=True):
        if not tape.watches(t):
            continue
        dy = Tensor(np.ones(t.shape, t.dtype)) if seed is None else seed
        dy = convert_to_tensor(dy, t.dtype)
        if dy.shape != t.shape:
            raise ShapeError(
                f"[GradientTape.gradient] the output gradient has shape {dy.shape}, "
                f"its target {t.shape}"
            )
        old = grads.get(t._id)
        grads[t._id] = dy if old is None else raw.add(old, dy)
    keep = {s._id for s in sources}
    tape.backward(grads, keep, raw.add, once)
    return [grads.get(s._id) for s in sources]


def value_and_grad(
    fun: Callable[..., Any], argnums: int | tuple[int, ...] = 0
) -> Callable[..., Any]:
    """A function returning `(fun(*args), gradient w.r.t. args[argnums])`."""

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        values = [
            tree.map_structure(convert_to_tensor, a) if i in numbers else a
            for i, a in enumerate(args)
        ]
        with GradientTape() as tape:
            picked = [values[i] for i in numbers]
            tape.watch(picked)
            y = fun(*values, **kwargs)
        if tree.flatten(y)[0].shape != ():
            raise ValueError(
                f"[grad] the function must return a scalar, got shape {y.shape}"
            )
        grads = tape.gradient(y, picked)
        return y, grads[0] if isinstance(argnums, int) else tuple(grads)

    return wrapped


def grad(
    fun: Callable[..., Any], argnums: int | tuple[int, ...] = 0
) -> Callable[..., Any]:
    """The gradient function of a scalar function of tensors."""
    both = value_and_grad(fun, argnums)
    return lambda *args, **kwargs: both(*args, **kwargs)[1]


def stop_gradient(variable: Any) -> Any:
    """The same value, through which no gradient flows."""

    def stop(t: Any) -> Tensor:
        alias: Tensor = convert_to_tensor(t)._snapshot()._alias()
        return alias

    return tree.map_structure(stop, variable)


class _CustomOp:
    """Stands in a tape record for a function with its own gradient."""

    saves: tuple[str, ...] = ()
    attrs: tuple = ()

    def __init__(
        self,
        name: str,
        arguments: int,
        variables: list[Variable],
        outputs: list[Tensor],
        grad_fn: Callable[..., Any],
    ) -> None:
        self.name = name
        self.inputs = tuple(f"x{i}" for i in range(arguments + len(variables)))
        self._arguments = arguments
        self._variables = variables
        self._specs = [(t.shape, t.dtype) for t in outputs]
        self._grad_fn = grad_fn

    def vjp(self, c: Context, *dys: Tensor | None) -> tuple[Any, ...]:
        upstream = [
            Tensor(np.zeros(shape, dtype)) if dy is None else dy
            for dy, (shape, dtype) in zip(dys, self._specs, strict=True)
        ]
        if not self._variables:
            return self._check(self._grad_fn(*upstream), self._arguments, "arguments")
        found = self._grad_fn(*upstream, variables=self._variables)
        return (
            *self._check(found[0], self._arguments, "arguments"),
            *self._check(found[1], len(self._variables), "variables"),
        )

    def _check(self, found: Any, count: int, what: str) -> tuple[Any, ...]:
        grads = tuple(found) if isinstance(found, (list, tuple)) else (found,)
        if len(grads) != count:
            raise ValueError(
                f"[custom_gradient] {self.name} has {count} {what}, its gradient "
                f"function returned {len(grads)} gradients for them"
            )
        return tuple(None if g is None else convert_to_tensor(g) for g in grads)


def _accepts_variables(grad_fn: Callable[..., Any]) -> bool:
    import inspect

    parameters = inspect.signature(grad_fn).parameters.values()
    return any(
        p.name == "variables" or p.kind is inspect.Parameter.VAR_KEYWORD
        for p in parameters
    )


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: `f(*args, **kwargs)` returns `(output, grad_fn)`.

    `grad_fn(*upstream)` returns one gradient per positional argument; it is used
    instead of differentiating the inside of `f`. What it captured from `f` is
    recorded, so that the gradient can be differentiated again. When `f` reads
    trainable variables other than its arguments, it is called as
    `grad_fn(*upstream, variables=[...])` and returns `(gradients of the arguments,
    gradients of the variables)`.

    Raises:
        TypeError: when `f` returns something else; when variables are read and
            `grad_fn` takes no `variables`.
        ValueError: when `grad_fn` returns another number of gradients.
    """
    name = getattr(f, "__name__", "function")

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inputs = tuple(convert_to_tensor(a) for a in args)
        watcher = Tape()
        tapes = state().tapes
        tapes.append(watcher)
        try:
            made = f(*inputs, **kwargs)
        finally:
            tapes.remove(watcher)
        output, grad_fn = _pair(name, made)
        variables = variables_among(watcher.watched - {t._id for t in inputs})
        if variables and not _accepts_variables(grad_fn):
            raise TypeError(
                f"[custom_gradient] {name} reads the variables "
                f"{', '.join(v.path for v in variables)}: its gradient function must "
                f"take the keyword argument `variables` and return (gradients of the "
                f"arguments, gradients of the variables)"
            )
        single = isinstance(output, Tensor)
        outputs = [stop_gradient(t) for t in ([output] if single else output)]
        op = _CustomOp(name, len(inputs), variables, outputs, grad_fn)
        record_custom(op, (*inputs, *variables), outputs)
        return outputs[0] if single else tuple(outputs)

    wrapped.__name__ = name
    wrapped.__doc__ = f.__doc__
    return wrapped


def _pair(name: str, made: Any) -> Any:
    """(output, grad_fn), if it is that."""
    if isinstance(made, (tuple, list)) and len(made) == 2 and callable(made[1]):
        return made
    raise TypeError(
        f"[custom_gradient] {name} must return (output, grad_fn), a function of the "
        f"gradient of the output, received {made!r}"
    )
