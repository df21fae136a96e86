# SPDX-License-Identifier: Apache-2.0
"""`function`: a Python function of tensors as a plan per input signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from fastnn import config, tree
from fastnn.autodiff._arrays import native
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.errors import PlanError
from fastnn.graph.autograph import convert
from fastnn.graph.passes import optimize
from fastnn.graph.trace import trace
from fastnn.opset import Spec
from fastnn.opset._opdef import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.graph.ir import Graph

MAX_SIGNATURES = 64


class _Compiled:
    """One signature: the plan and the structure of its result.

    A graph with host ops (linear algebra) has no plan: it runs node by node.
    """

    def __init__(self, graph: Graph, result: Any) -> None:
        self.graph = graph
        self.result = result
        self._plan: Any = None
        self._planned = all(node.op.kind != HOST for node in graph.nodes)

    def __call__(self, arrays: list[np.ndarray]) -> Any:
        if config.backend() == "cpu" and self._planned:
            if self._plan is None:
                from fastnn.graph.plan import Plan

                self._plan = Plan(self.graph)
            values = iter(self._plan.run(arrays))
        else:
            from fastnn.graph.interpret import interpret

            values = iter(interpret(self.graph, arrays))
        return tree.map_structure(
            lambda t: None if t is None else Tensor(next(values)), self.result
        )


class Function:
    """A traced function. Call it like the original.

    Tensors and arrays are inputs: one plan per combination of their shapes and dtypes.
    Python values are built in: one plan per distinct value. Side effects happen while
    tracing only; variables may be created on the first call only.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.python_function = fn
        self.__name__ = getattr(fn, "__name__", "function")
        self.__doc__ = fn.__doc__
        self._cache: dict[Any, _Compiled] = {}
        self._bound: dict[int, tuple[Any, dict[Any, _Compiled]]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if state().tracer is not None:
            return self.python_function(*args, **kwargs)  # part of the outer trace
        if state().tapes:
            # The tape wants every op; a plan is one opaque step to it.
            return self.python_function(*args, **kwargs)
        compiled, arrays = self._lookup(args, kwargs)
        return compiled(arrays)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        method = Function(self.python_function.__get__(instance))
        method._cache = self._cache_of(instance)
        return method

    def _cache_of(self, instance: Any) -> dict[Any, _Compiled]:
        """The plans of the method of `instance`; they do not keep it alive."""
        key, bound = id(instance), self._bound
        if key not in bound:
            try:
                owner: Any = ref(instance, lambda _: bound.pop(key, None))
            except TypeError:  # no weak references: keep it, its id must stay its own
                owner = instance
            bound[key] = (owner, {})
        return bound[key][1]

    def graph(self, *args: Any, **kwargs: Any) -> Graph:
        """The optimized graph for this signature, for inspection and tests."""
        return self._lookup(args, kwargs)[0].graph

    def _lookup(self, args: tuple, kwargs: dict) -> tuple[_Compiled, list[np.ndarray]]:
        leaves = tree.flatten((args, kwargs))
        arrays: list[np.ndarray] = []
        key: list[Any] = []
        for leaf in leaves:
            if isinstance(leaf, Variable):
                key.append(("variable", leaf._id))
            elif isinstance(leaf, (Tensor, np.ndarray)):
                array = (
                    leaf._concrete("a call")
                    if isinstance(leaf, Tensor)
                    else native(leaf)
                )
                arrays.append(np.ascontiguousarray(array).reshape(array.shape))
                key.append((array.shape, array.dtype.name))
            else:
                key.append(_static_key(leaf))
        structure = repr(tree.map_structure(lambda _: 0, (args, kwargs)))
        full = (tuple(key), structure, _settings())
        compiled = self._cache.get(full)
        if compiled is None:
            if len(self._cache) >= MAX_SIGNATURES:
                self._cache.pop(next(iter(self._cache)))
            compiled = self._trace(args, kwargs, leaves, arrays)
            self._cache[full] = compiled
        return compiled, arrays

    def _trace(
        self, args: tuple, kwargs: dict, leaves: list[Any], arrays: list[np.ndarray]
    ) -> _Compiled:
        def is_input(leaf: Any) -> bool:
            return isinstance(leaf, (Tensor, np.ndarray)) and not isinstance(
                leaf, Variable
            )

        specs = [Spec(a.shape, a.dtype.name) for a in arrays]
        run = convert(self.python_function)

        def body(*tensors: Tensor) -> Any:
            given = iter(tensors)
            filled = [next(given) if is_input(t) else t for t in leaves]
            new_args, new_kwargs = tree.pack_sequence_as((args, kwargs), filled)
            return run(*new_args, **new_kwargs)

        graph, result = trace(
            body, specs, self.__name__, allow_new_variables=not self._cache
        )
        return _Compiled(optimize(graph), result)


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


def function(fn: Callable[..., Any] | None = None) -> Any:
    """Compile a function of tensors into native plans, as `tf.function`.

    Example:
        >>> @fastnn.function
        ... def cube(x):
        ...     return x ** 3
    """
    return Function if fn is None else Function(fn)
