# SPDX-License-Identifier: Apache-2.0
"""Parts of a traced function that run never, once or often: branches and loop bodies.

Such a part is a graph of its own. What it reads from outside (tensors of the function
around it, variables) becomes its input, so that gradients flow there; variables that it
assigns become outputs, which the function around it assigns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import tree
from fastnn.autodiff._tape import apply, state
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.graph.ir import CONST, INPUT, Graph, Value
from fastnn.graph.trace import Tracer
from fastnn.opset import Spec
from fastnn.opset._dtypes import is_float

if TYPE_CHECKING:
    from collections.abc import Callable


class Branch(Tracer):
    """Traces a function inside the trace of another one.

    Attributes:
        graph: inputs are the arguments, then what was captured; outputs are the
            results, then the last values of `assigned`.
        result: what the function returned.
        captured: tensors outside and variables that the graph reads, in order.
        assigned: variables that the function assigned.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        specs: list[Spec],
        name: str,
        carried: list[Variable] | None = None,
        allow_new_variables: bool = True,
        autograph: bool = False,
    ) -> None:
        outer = state().tracer
        if outer is not None:
            allow_new_variables = outer._allow_new_variables
            autograph = outer.autograph
        super().__init__(
            name, allow_new_variables=allow_new_variables, autograph=autograph
        )
        self._captured: dict[Any, tuple[Any, Value]] = {}
        self._changed: dict[int, Variable] = {}
        inputs = [self.tensor(self.graph.add_input(spec)) for spec in specs]
        for var in carried or ():
            value = self.graph.add_input(Spec(var.shape, var._dtype))
            self._current[id(var)] = value
        saved, state().tapes = state().tapes, []
        self._watchers = saved
        try:
            with self:
                self.result = fn(*inputs)
                leaves = [t for t in tree.flatten(self.result) if t is not None]
                tensors = [convert_to_tensor(t) for t in leaves]
                self.graph.outputs = [self.value_of(t) for t in tensors]
        finally:
            state().tapes = saved
        self.assigned = list(self._changed.values())
        self.graph.updates = {}

    # -- what lies outside -----------------------------------------------------------

    def value_of(self, t: Tensor) -> Value:
        if not t._is_variable:
            if t._array is None and t._value.graph is not self.graph:
                return self._capture(t._value, t)
            if t._array is not None and any(w.watches(t) for w in self._watchers):
                return self._capture(t._id, t)
        return super().value_of(t)

    def _variable(self, var: Variable) -> Value:
        value = self._current.get(id(var))
        if value is None:
            value = self._current[id(var)] = self._capture(id(var), var)
        return value

    def assign_variable(self, var: Variable, tensor: Tensor) -> None:
        super().assign_variable(var, tensor)
        self._changed[id(var)] = var

    def _capture(self, key: Any, outside: Any) -> Value:
        found = self._captured.get(key)
        if found is None:
            spec = Spec(outside.shape, outside.dtype)
            found = self._captured[key] = outside, self.graph.add_input(spec)
        return found[1]

    @property
    def captured(self) -> dict[Any, Any]:
        """By key: a tensor outside or a variable."""
        return {key: outside for key, (outside, _) in self._captured.items()}

    # -- made to fit others ----------------------------------------------------------

    def take_inputs(self, captured: dict[Any, Any], arguments: int) -> None:
        """Puts the captured inputs in this order, behind the first `arguments`."""
        given = self.graph.inputs[:arguments]
        for key, outside in captured.items():
            given.append(self._capture(key, outside))
        self.graph.inputs = given
        for i, value in enumerate(given):
            value.payload = i

    def final_value(self, var: Variable) -> Value:
        """What a variable holds at the end; what it held before is captured."""
        return self._variable(var)


def inline(graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
    """The ops of a graph without variables, applied to tensors here and now."""
    known: dict[Value, Tensor] = {}

    def read(value: Value) -> Tensor:
        if value.kind == INPUT:
            return inputs[value.payload]
        if value.kind == CONST:
            return Tensor(value.payload)
        return known[value]

    for node in graph.nodes:
        found = apply(node.op, tuple(read(v) for v in node.inputs), node.attrs)
        outs = found if isinstance(found, tuple) else (found,)
        known.update(zip(node.outputs, outs, strict=True))
    return [read(v) for v in graph.outputs]


def connected(graph: Graph) -> set[int]:
    """Indices of float inputs that some float output follows from."""
    reached = {v for v in graph.outputs if is_float(v.dtype)}
    for node in reversed(graph.nodes):
        if any(v in reached for v in node.outputs):
            reached.update(v for v in node.inputs if is_float(v.dtype))
    return {i for i, v in enumerate(graph.inputs) if v in reached}
