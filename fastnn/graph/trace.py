# SPDX-License-Identifier: Apache-2.0
"""Tracing: the same `apply` as eager execution, yielding nodes instead of arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn.autodiff._launch import infer_specs
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.errors import PlanError, user_line
from fastnn.graph.ir import Graph, Value
from fastnn.opset import Spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.opset import OpDef

SMALL_CONST = 64  # constants of so few bytes are shared by value


class Tracer:
    """Builds a graph while a Python function runs on symbolic tensors.

    Attributes:
        autograph: control flow in layers that it calls is rewritten from the source.
    """

    def __init__(
        self, name: str, *, allow_new_variables: bool = True, autograph: bool = False
    ) -> None:
        self.graph = Graph(name)
        self.autograph = autograph
        self._current: dict[int, Value] = {}  # id(variable) -> value at this point
        self._consts: dict[Any, Value] = {}
        self._keep: list[Any] = []  # arrays whose id() is a key above
        self._allow_new_variables = allow_new_variables
        self._region = 0  # of the nodes being emitted: see fastnn/autodiff/remat.py
        self._regions = 0
        self.outer: Tracer | None = None  # whose function this one is a part of
        self.stream: Any = None  # random numbers without a seed: fastnn/random.py

    def __enter__(self) -> Tracer:
        current = state()
        self.outer, current.tracer = current.tracer, self
        return self

    def __exit__(self, *exc: object) -> None:
        state().tracer = self.outer

    # -- called by apply -------------------------------------------------------------

    def emit(self, op: OpDef, inputs: tuple[Tensor, ...], attrs: tuple) -> list[Tensor]:
        values = [self.value_of(t) for t in inputs]
        specs = infer_specs(op, inputs, attrs)
        node = self.graph.make_node(op, values, attrs, specs, user_line())
        node.region = self._region
        self.graph.nodes.append(node)
        return [self.tensor(v) for v in node.outputs]

    def tensor(self, value: Value) -> Tensor:
        return Tensor(None, value, value.shape, value.dtype)

    def value_of(self, t: Tensor) -> Value:
        """The graph value behind a tensor: traced, variable or constant."""
        if t._is_variable:
            return self._variable(t)  # type: ignore[arg-type]
        if t._array is None:
            if t._value.graph is not self.graph:
                raise PlanError(
                    f"[function] a tensor from another traced function is used at "
                    f"{user_line()}: return it from that function instead of keeping it"
                )
            return t._value
        return self._constant(t)

    # -- variables -------------------------------------------------------------------

    def _variable(self, var: Variable) -> Value:
        value = self._current.get(id(var))
        if value is None:
            # Not `dtype`: a layer with mixed precision reads another one than is kept.
            value = self.graph.variable(var, Spec(var.shape, var._dtype))
            self._current[id(var)] = value
        return value

    def read_variable(self, var: Variable) -> Tensor:
        tensor = self.tensor(self._variable(var))
        tensor._id = var._id
        return tensor

    def assign_variable(self, var: Variable, tensor: Tensor) -> None:
        self._variable(var)  # an entry, also when it was never read
        value = self.value_of(tensor)
        self._current[id(var)] = value
        self.graph.updates[id(var)] = value

    def variable_created(self, var: Variable) -> None:
        if not self._allow_new_variables:
            raise PlanError(
                f"[function] {self.graph.name} creates a variable at {user_line()} on "
                f"a call that is not the first: create variables once, outside the "
                f"function or guarded by `if self.v is None`"
            )

    def variable_values(self) -> tuple[dict[int, Value], dict[int, Value]]:
        """The values of all variables at this point, and those that were assigned."""
        return dict(self._current), dict(self.graph.updates)

    def set_variable_values(
        self, values: tuple[dict[int, Value], dict[int, Value]]
    ) -> None:
        """Goes on from such a point, as if nothing had been assigned since."""
        self._current, self.graph.updates = dict(values[0]), dict(values[1])

    # -- rematerialized blocks -------------------------------------------------------

    def open_region(self) -> bool:
        """Nodes from here on belong together; False inside another region."""
        if self._region:
            return False
        self._regions += 1
        self._region = self._regions
        return True

    def close_region(self) -> None:
        self._region = 0

    # -- constants -------------------------------------------------------------------

    def _constant(self, t: Tensor) -> Value:
        array = t._array
        small = array.nbytes <= SMALL_CONST
        key = (t.dtype, t.shape, array.tobytes()) if small else id(array)
        value = self._consts.get(key)
        if value is None:
            value = self.graph.add_const(array, Spec(t.shape, t.dtype))
            self._consts[key] = value
            self._keep.append(array)
        return value


def trace(
    fn: Callable[..., Any],
    specs: list[Spec],
    name: str = "function",
    *,
    allow_new_variables: bool = True,
    autograph: bool = False,
) -> tuple[Graph, Any]:
    """Run `fn` on symbolic tensors.

    Args:
        fn: takes one tensor per spec, returns a structure of tensors (or None).
        specs: shapes and dtypes of the inputs.
        name: shown in dumps and errors.
        allow_new_variables, autograph: see `Tracer`.

    Returns:
        The graph, whose outputs are the leaves of the result, and the result itself
        (its structure tells how to pack them; None leaves are skipped).

    Raises:
        PlanError: when `fn` needs a value that does not exist yet; the message has the
            line of the user's code.
    """
    from fastnn import tree

    tracer = Tracer(name, allow_new_variables=allow_new_variables, autograph=autograph)
    with tracer:
        inputs = [tracer.tensor(tracer.graph.add_input(s)) for s in specs]
        result = fn(*inputs)
        leaves = [t for t in tree.flatten(result) if t is not None]
        tracer.graph.outputs = [tracer.value_of(as_tensor(t)) for t in leaves]
    return tracer.graph, result


def as_tensor(t: Any) -> Tensor:
    from fastnn.autodiff.tensor import convert_to_tensor

    return convert_to_tensor(t)
