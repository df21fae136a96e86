# SPDX-License-Identifier: Apache-2.0
"""The calls between symbolic inputs and outputs, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fastnn import tree
from fastnn.symbolic.node import Node, node_of, record
from fastnn.symbolic.tensor import KerasTensor, of_spec


class Slot:
    """Stands for a tensor in the arguments of a step: its place among the values."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Step:
    """One call.

    Attributes:
        operation: the layer or operation.
        args, kwargs: its arguments, with slots for tensors.
        source: the slot of the only argument, when there is just one.
        outputs: slots of the results.
        rank: how many calls of the same operation in this graph were made before.
        last_reads: slots that nobody reads after this step.
    """

    __slots__ = tuple("args kwargs last_reads operation outputs rank source".split())

    def __init__(
        self, operation: Any, args: Any, kwargs: Any, outputs: list[int], rank: int
    ) -> None:
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.rank = rank
        self.last_reads: list[int] = []
        alone = len(args) == 1 and isinstance(args[0], Slot) and not kwargs
        self.source: int | None = args[0].index if alone else None

    def slots(self) -> list[int]:
        """Slots of the arguments."""
        if self.source is not None:
            return [self.source]
        leaves = tree.flatten((self.args, self.kwargs))
        return [leaf.index for leaf in leaves if isinstance(leaf, Slot)]

    def arguments(self, values: list[Any]) -> tuple[Any, Any]:
        """(args, kwargs) with values for slots."""
        filled: tuple[Any, Any] = tree.map_structure(
            lambda leaf: values[leaf.index] if isinstance(leaf, Slot) else leaf,
            (self.args, self.kwargs),
        )
        return filled


class Graph:
    """The program between inputs and outputs.

    The tensors are numbered and steps hold numbers, so that a copy or pickle needs no
    symbolic tensors: `tensors` are made anew when asked for.

    Args:
        inputs, outputs: structures of symbolic tensors; the inputs are those of
            declared inputs.

    Attributes:
        operations: layers and operations by depth, as Keras orders them.
        steps: calls in the order in which they run.
        inputs, outputs: slots of the inputs and outputs, in their structures.

    Raises:
        ValueError: when an output does not follow from the inputs, or two operations
            have the same name.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        given, wanted = tree.flatten(inputs), tree.flatten(outputs)
        nodes, seen = _nodes_before(given, wanted)
        order, self.operations = _by_depth(given, nodes, seen)
        ranks = _ranks(nodes)
        self._tensors: list[KerasTensor] | None = []
        slots: dict[int, int] = {}

        def slot(tensor: KerasTensor) -> Slot:
            if id(tensor) not in slots:
                slots[id(tensor)] = len(slots)
                self._tensors.append(tensor)  # type: ignore[union-attr]
            return Slot(slots[id(tensor)])

        self.inputs = tree.map_structure(slot, inputs)
        self.steps: list[Step] = []
        for node in order:
            if node.is_input:
                continue
            _check_reachable(node, slots, self.steps)
            if node.is_plain:
                args, kwargs = (slot(node.args[0]),), {}
            else:
                args, kwargs = tree.map_structure(
                    lambda leaf: slot(leaf) if isinstance(leaf, KerasTensor) else leaf,
                    (node.args, node.kwargs),
                )
            results = [slot(t).index for t in node.output_tensors]
            self.steps.append(
                Step(node.operation, args, kwargs, results, ranks[id(node)])
            )
        for tensor in wanted:
            if id(tensor) not in slots:
                raise _disconnected(tensor, "an output", self.steps)
        self.outputs = tree.map_structure(slot, outputs)
        self.specs = [(t.shape, t.dtype, t.name) for t in self._tensors]
        self._input_slots = [s.index for s in tree.flatten(self.inputs)]
        self._output_slots = [s.index for s in tree.flatten(self.outputs)]
        self._find_last_reads()
        _check_names(self.operations)

    def _find_last_reads(self) -> None:
        kept = set(self._output_slots)
        for step in reversed(self.steps):
            reads = dict.fromkeys([*step.slots(), *step.outputs])
            step.last_reads = [slot for slot in reads if slot not in kept]
            kept.update(reads)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tensors": None}

    # -- running ---------------------------------------------------------------------

    def run(
        self,
        inputs: list[Any],
        call: Callable[..., Any] | None = None,
    ) -> Any:
        """The outputs, in their structure, for a flat list of inputs.

        Args:
            inputs: one value per input.
            call: what is called with (operation, *args, **kwargs) in place of the
                operation itself.
        """
        values: list[Any] = [None] * len(self.specs)
        for slot, value in zip(self._input_slots, inputs, strict=True):
            values[slot] = value
        for step in self.steps:
            operation = step.operation
            if call is None and step.source is not None:
                result = operation(values[step.source])
            else:
                args, kwargs = step.arguments(values)
                if call is None:
                    result = operation(*args, **kwargs)
                else:
                    result = call(operation, *args, **kwargs)
            if len(step.outputs) == 1 and not isinstance(result, (list, tuple, dict)):
                values[step.outputs[0]] = result
            else:
                flat = tree.flatten(result)
                for slot, value in zip(step.outputs, flat, strict=True):
                    values[slot] = value
            for slot in step.last_reads:
                values[slot] = None
        return tree.map_structure(lambda s: values[s.index], self.outputs)

    # -- symbolic tensors ------------------------------------------------------------

    @property
    def tensors(self) -> list[KerasTensor]:
        """The symbolic tensor of each slot."""
        if self._tensors is None:
            made = [of_spec(*spec) for spec in self.specs]
            self.replay(made, [operation.output for operation in self.entries()])
            self._tensors = made
        return self._tensors

    def entries(self) -> list[Any]:
        """The operations that declare the inputs, one per input."""
        made = {slot for step in self.steps for slot in step.outputs}
        called = {id(step.operation) for step in self.steps}
        inputs = [o for o in self.operations if id(o) not in called]
        names = {o.name: o for o in inputs}
        assert not made.intersection(self._input_slots)
        return [names[self.specs[slot][2]] for slot in self._input_slots]

    def replay(self, tensors: list[KerasTensor], inputs: list[KerasTensor]) -> None:
        """Records all calls again.

        Args:
            tensors: a fresh symbolic tensor per slot; the inputs' are replaced.
            inputs: what the calls begin with.
        """
        for slot, tensor in zip(self._input_slots, inputs, strict=True):
            tensors[slot] = tensor
        for step in self.steps:
            args, kwargs = step.arguments(tensors)
            record(step.operation, args, kwargs, [tensors[s] for s in step.outputs])

    def addresses(self) -> Iterator[tuple[int, Step, int]]:
        """(slot, the step that makes it, number of the output) of all results."""
        for step in self.steps:
            for i, slot in enumerate(step.outputs):
                yield slot, step, i


# ---- order -------------------------------------------------------------------------


def _nodes_before(
    inputs: list[KerasTensor], outputs: list[KerasTensor]
) -> tuple[list[Node], dict[Any, int]]:
    """(calls between inputs and outputs, parents first; operation -> first visit)."""
    given = {id(tensor) for tensor in inputs}
    finished: set[int] = set()
    ordered: list[Node] = []
    seen: dict[Any, int] = {}

    def entered(tensor: KerasTensor) -> tuple[Node, Iterator[KerasTensor]] | None:
        node = node_of(tensor)
        if node is None or id(node) in finished:
            return None
        if not node.is_input and id(tensor) in given:
            finished.add(id(node))
            return None
        seen.setdefault(node.operation, len(seen))
        return node, iter(node.input_tensors)

    for output in outputs:
        stack = [entry] if (entry := entered(output)) else []
        while stack:  # a loop: graphs are deeper than Python's stack
            node, tensors = stack[-1]
            for tensor in tensors:
                if (entry := entered(tensor)) is not None:
                    stack.append(entry)
                    break
            else:
                stack.pop()
                if id(node) not in finished:
                    finished.add(id(node))
                    ordered.append(node)
    return ordered, seen


def _by_depth(
    inputs: list[KerasTensor], nodes: list[Node], seen: dict[Any, int]
) -> tuple[list[Node], list[Any]]:
    """Calls and operations, those farthest from the outputs first."""
    inside = {id(node) for node in nodes}
    depths: dict[int, int] = {}
    operation_depths: dict[Any, int] = {}
    for node in reversed(nodes):
        depth = max(depths.get(id(node), 0), operation_depths.get(node.operation, 0))
        operation_depths[node.operation] = depths[id(node)] = depth
        for parent in node.parent_nodes:
            if id(parent) in inside:
                depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
    for tensor in inputs:  # inputs that no output needs
        node_ = node_of(tensor)
        if node_ is None or not node_.is_input:
            continue
        if node_.operation not in operation_depths:
            operation_depths[node_.operation] = 0
            seen[node_.operation] = -1
    by_id = {id(node): node for node in nodes}
    order = sorted(depths, key=lambda key: -depths[key])
    operations = sorted(operation_depths, key=lambda o: (-operation_depths[o], seen[o]))
    return [by_id[key] for key in order], operations


def _ranks(nodes: list[Node]) -> dict[int, int]:
    """How many calls of the same operation among the nodes each was preceded by."""
    inside = {id(node) for node in nodes}
    ranks: dict[int, int] = {}
    for operation in {id(node.operation): node.operation for node in nodes}.values():
        calls = [n for n in operation._inbound_nodes if id(n) in inside]
        ranks.update((id(call), i) for i, call in enumerate(calls))
    return ranks


# ---- errors ------------------------------------------------------------------------


def _check_reachable(node: Node, slots: dict[int, int], steps: list[Step]) -> None:
    for tensor in node.input_tensors:
        if id(tensor) not in slots:
            place = f"an input of '{node.operation.name}'"
            raise _disconnected(tensor, place, steps)


def _disconnected(tensor: KerasTensor, place: str, steps: list[Step]) -> ValueError:
    names = ", ".join(step.operation.name for step in steps) or "none"
    node = node_of(tensor)
    maker = "nothing" if node is None else f"'{node.operation.name}'"
    return ValueError(
        f"[Model] the graph is disconnected: {tensor!r}, made by {maker} and {place}, "
        f"does not follow from the given inputs. Operations that do: {names}. Add its "
        "Input to the inputs of the model."
    )


def _check_names(operations: list[Any]) -> None:
    names: dict[str, Any] = {}
    for operation in operations:
        other = names.setdefault(operation.name, operation)
        if other is not operation:
            raise ValueError(
                f"[Model] the name '{operation.name}' belongs to {other!r} and to "
                f"{operation!r}: names must be unique inside a model, give one of them "
                "another name=."
            )
