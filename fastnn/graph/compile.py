# SPDX-License-Identifier: Apache-2.0
"""`function`: a Python function of tensors as a plan per input signature."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from fastnn import config, tree
from fastnn.autodiff._arrays import native
from fastnn.autodiff._tape import apply, state
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.errors import PlanError
from fastnn.graph.autograph.convert import convert
from fastnn.graph.branches import Branch
from fastnn.graph.composites import apart, is_composite, together, unpacked
from fastnn.graph.control import graph_op
from fastnn.graph.passes import optimize
from fastnn.graph.runner import Runner
from fastnn.graph.signatures import Retracing, TensorSpec, conform
from fastnn.graph.trace import trace
from fastnn.opset import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fastnn.graph.ir import Graph

MAX_SIGNATURES = 64


class _Compiled:
    """One signature: what runs its graph, and the structure of its result."""

    def __init__(self, graph: Graph, result: Any, pack: Any) -> None:
        self.graph = graph
        self._run = Runner(graph)
        self._result, self._pack = result, pack

    def __call__(self, arrays: list[np.ndarray]) -> Any:
        found = self._run(arrays)
        if self._pack is None and isinstance(self._result, Tensor):
            return Tensor(found[0])
        return _packed(self._result, map(Tensor, found), self._pack)


def _packed(result: Any, tensors: Iterable[Tensor], pack: Any) -> Any:
    """Tensors in the structure of a traced result, and composite values of them."""
    values = iter(tensors)
    out = tree.map_structure(lambda t: None if t is None else next(values), result)
    return out if pack is None else pack(out)


class _Recorded:
    """One signature under a tape: the whole call is one op with a gradient.

    Variables and watched tensors that the function reads are inputs of the op.
    """

    def __init__(
        self,
        body: Callable[..., Any],
        specs: list[Spec],
        name: str,
        allow_new_variables: bool,
        autograph: bool,
    ) -> None:
        part = Branch(
            body,
            specs,
            name,
            allow_new_variables=allow_new_variables,
            autograph=autograph,
        )
        part.graph.outputs += [part.final_value(v) for v in part.assigned]
        part.take_inputs(part.captured, len(specs))
        self._result, self._assigned = part.result, part.assigned
        self.pack: Any = None
        self._captured = list(part.captured.values())
        self._op = graph_op(name, part.graph) if part.graph.outputs else None

    def __call__(self, tensors: list[Tensor]) -> Any:
        found: list[Tensor] = []
        if self._op is not None:
            results = apply(self._op, (*tensors, *self._captured))
            found = list(results) if isinstance(results, tuple) else [results]
        count = len(found) - len(self._assigned)
        for var, value in zip(self._assigned, found[count:], strict=True):
            var.assign(value)
        return _packed(self._result, found, self.pack)


class Function:
    """A traced function. Call it like the original.

    Tensors and arrays are inputs: one plan per combination of their shapes and dtypes.
    Python values are built in: one plan per distinct value. Side effects happen while
    tracing only; variables may be created on the first call only. To a tape a call is
    one op, whose gradient is a plan as well.

    Args:
        fn: the function.
        input_signature: a TensorSpec for each positional argument; other shapes and
            dtypes are refused, Python numbers converted.
        autograph: rewrite if, while and for from the source, so that tensors can
            decide.

    Attributes:
        python_function: the original.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        input_signature: Sequence[TensorSpec] | None = None,
        autograph: bool = True,
    ) -> None:
        self.python_function = fn
        self.input_signature = input_signature and tuple(input_signature)
        self.__name__ = getattr(fn, "__name__", "function")
        self.__doc__ = fn.__doc__
        self._autograph = autograph
        self._cache: dict[Any, Any] = {}
        self._quick: dict[Any, Any] = {}  # the same, by shapes and dtypes alone
        self._bound: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self._traces = Retracing(self.__name__)
        self._tracing = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.input_signature is not None:
            args = conform(self.__name__, self.input_signature, args, kwargs)
        current = state()
        if current.tracer is not None or current.stateless is not None:
            return self._converted()(*args, **kwargs)  # part of the outer trace
        if any(not tape.paused for tape in current.tapes):
            call = _Call(args, kwargs)
            compiled = self._find("recorded", call)
            return compiled([convert_to_tensor(t) for t in call.tensors])
        key = None if kwargs else _tensors_key(args)
        compiled = None if key is None else self._quick.get(key)
        if compiled is not None:
            return compiled([t._array for t in args])
        call = _Call(args, kwargs)
        compiled = self._find("plan", call)
        if key is not None:
            self._quick[key] = compiled
        return compiled(call.arrays())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        key, bound = id(instance), self._bound
        method = Function(
            self.python_function.__get__(instance),
            self.input_signature,
            self._autograph,
        )
        if key in bound:
            method._take_plans(bound[key][1])
            return method
        try:  # what is kept must not keep the instance alive
            kept: Any = ref(instance, lambda _: bound.pop(key, None))
        except TypeError:  # no weak references: keep it, its id must stay its own
            kept = instance
        bound[key] = kept, method._plans()
        return method

    def _plans(self) -> tuple[Any, ...]:
        return self._cache, self._quick, self._traces, self._tracing

    def _take_plans(self, plans: tuple[Any, ...]) -> None:
        self._cache, self._quick, self._traces, self._tracing = plans

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The optimized graph for this signature, for inspection and tests."""
        found: Graph = self._find("plan", _Call(args, kwargs)).graph
        return found

    def _converted(self) -> Callable[..., Any]:
        return (
            convert(self.python_function) if self._autograph else self.python_function
        )

    def _find(self, way: str, call: _Call) -> Any:
        key = (way, *call.key(), _settings())
        compiled = self._cache.get(key)
        if compiled is None:
            with self._tracing:  # one thread traces, the others find what it made
                compiled = self._cache.get(key)
                if compiled is None:
                    self._traces.note(key)
                    compiled = self._trace(way, call)
                    if len(self._cache) >= MAX_SIGNATURES:
                        self._cache.pop(next(iter(self._cache)))
                        self._quick.clear()
                    self._cache[key] = compiled
        return compiled

    def _trace(self, way: str, call: _Call) -> Any:
        run = self._converted()
        pack: Any = None

        def body(*tensors: Tensor) -> Any:
            nonlocal pack
            args, kwargs = call.filled(tensors)
            result, pack = unpacked(run(*args, **kwargs))
            return result

        if way == "recorded":
            found = _Recorded(
                body, call.specs(), self.__name__, not self._cache, self._autograph
            )
            found.pack = pack
            return found
        graph, result = trace(
            body,
            call.specs(),
            self.__name__,
            allow_new_variables=not self._cache,
            autograph=self._autograph,
        )
        return _Compiled(optimize(graph), result, pack)


def _tensors_key(args: tuple[Any, ...]) -> Any:
    """What a call depends on whose arguments are all tensors with values, else None."""
    key: list[Any] = []
    for t in args:
        if type(t) is not Tensor:
            return None
        key.append(t._shape)
        key.append(t._dtype)
    return (*key, *_settings())


class _Call:
    """The arguments of one call: tensors apart from what is built in."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._structure: Any = (args, kwargs)
        self._leaves = tree.flatten(self._structure)
        self.tensors = [leaf for leaf in self._leaves if _is_input(leaf)]
        self._apart = len(self.tensors) < len(self._leaves) and any(
            map(is_composite, self._leaves)
        )
        if self._apart:
            self._structure = apart(self._structure)
            self._leaves = tree.flatten(self._structure)
            self.tensors = [leaf for leaf in self._leaves if _is_input(leaf)]
        self._arrays: list[np.ndarray] | None = None

    def arrays(self) -> list[np.ndarray]:
        if self._arrays is None:
            found = [
                t._concrete("a call") if isinstance(t, Tensor) else native(t)
                for t in self.tensors
            ]
            self._arrays = [np.ascontiguousarray(a).reshape(a.shape) for a in found]
        return self._arrays

    def specs(self) -> list[Spec]:
        return [Spec(a.shape, a.dtype.name) for a in self.arrays()]

    def key(self) -> tuple[Any, ...]:
        """What a plan depends on: shapes, dtypes, variables and Python values."""
        arrays = iter(self.arrays())
        key: list[Any] = []
        for leaf in self._leaves:
            if _is_input(leaf):
                array = next(arrays)
                key.append((array.shape, array.dtype.name))
            elif isinstance(leaf, Variable):
                key.append(("variable", leaf._id))
            else:
                key.append(_static_key(leaf))
        return tuple(key), repr(tree.map_structure(lambda _: 0, self._structure))

    def filled(self, tensors: Sequence[Any]) -> Any:
        """(args, kwargs) with these in the places of the tensors."""
        given = iter(tensors)
        leaves = [next(given) if _is_input(leaf) else leaf for leaf in self._leaves]
        structure = tree.pack_sequence_as(self._structure, leaves)
        return together(structure) if self._apart else structure


def _is_input(leaf: Any) -> bool:
    return isinstance(leaf, (Tensor, np.ndarray)) and not isinstance(leaf, Variable)


def _static_key(leaf: Any) -> Any:
    if isinstance(leaf, (float, np.generic)):
        # By bits: 0.0 and -0.0 give different plans, NaN is the same as itself.
        return type(leaf), np.asarray(leaf).tobytes()
    try:
        hash(leaf)
    except TypeError:
        raise PlanError(
            f"[function] argument of type {type(leaf).__name__} is neither a tensor "
            f"nor hashable: pass tensors, arrays, numbers or strings"
        ) from None
    return type(leaf), leaf


def _settings() -> tuple[Any, ...]:
    """What a trace builds in without being given it."""
    return (
        config.floatx(),
        config.dtype_policy(),
        config.epsilon(),
        config.image_data_format(),
    )


def function(
    func: Callable[..., Any] | None = None,
    input_signature: Sequence[TensorSpec] | None = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
) -> Any:
    """Compile a function of tensors into native plans, as `tf.function`.

    Args:
        func: the function; without it, a decorator.
        input_signature, autograph: see `Function`.
        jit_compile, reduce_retracing: accepted; plans are always native, and have
            fixed shapes.

    Example:
        >>> @fastnn.function
        ... def cube(x):
        ...     return x ** 3
        >>> float(cube(2.0))
        8.0
    """
    del jit_compile, reduce_retracing
    if func is None:
        return lambda fn: Function(fn, input_signature, autograph)
    return Function(func, input_signature, autograph)
