# SPDX-License-Identifier: Apache-2.0
"""Models given by their symbolic inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import ops, tree
from fastnn.errors import ShapeError
from fastnn.layers import _call, _masks
from fastnn.layers.input import InputLayer
from fastnn.layers.input_spec import InputSpec, check_shape, format_shape
from fastnn.layers.layer import Layer
from fastnn.symbolic.node import node_of
from fastnn.symbolic.tensor import KerasTensor, of_spec, symbolic_leaves

if TYPE_CHECKING:
    from fastnn.symbolic.graph import Graph


def split_arguments(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, Any] | None, dict[str, Any]]:
    """((inputs, outputs) or None, other arguments) of a model's constructor."""
    rest = dict(kwargs)
    names = ("inputs", "outputs", "name")
    if len(args) > len(names):
        raise TypeError(
            f"[Model] takes inputs, outputs and name by position, received {len(args)} "
            "arguments."
        )
    rest.update(zip(names, args, strict=False))
    given = [name for name in names[:2] if name in rest]
    if len(given) == 1:
        missing = names[1 - names.index(given[0])]
        raise TypeError(f"[Model] {given[0]} was given without {missing}.")
    if not given:
        return None, rest
    return (rest.pop("inputs"), rest.pop("outputs")), rest


def make_graph(inputs: Any, outputs: Any) -> Graph:
    """The graph of a model.

    Inputs that are results of layers are cut off there: the model gets inputs of its
    own in their place, and the layers are shared.

    Raises:
        TypeError: for inputs or outputs that are not symbolic.
        ValueError: when the outputs do not follow from the inputs.
    """
    from fastnn.symbolic.graph import Graph

    for what, structure in (("inputs", inputs), ("outputs", outputs)):
        leaves = tree.flatten(structure)
        wrong = [leaf for leaf in leaves if not isinstance(leaf, KerasTensor)]
        if wrong or not leaves:
            hint = " An input is made by keras.Input(shape)."
            if wrong and isinstance(wrong[0], Layer):
                hint = " Call the layer on a symbolic tensor, and give what it returns."
            received = repr(wrong[0] if wrong else structure).split("\n")[0][:80]
            raise TypeError(
                f"[Model] {what} must be symbolic tensors, received {received}.{hint}"
            )
    graph = Graph(inputs, outputs)
    if all(_is_declared(tensor) for tensor in tree.flatten(inputs)):
        return graph
    own = [_declared(tensor) for tensor in tree.flatten(inputs)]
    tensors = [of_spec(*spec) for spec in graph.specs]
    graph.replay(tensors, own)
    return Graph(
        tree.pack_sequence_as(inputs, own),
        tree.map_structure(lambda slot: tensors[slot.index], graph.outputs),
    )


def _is_declared(tensor: KerasTensor) -> bool:
    node = node_of(tensor)
    return node is not None and isinstance(node.operation, InputLayer)


def _declared(tensor: KerasTensor) -> KerasTensor:
    if _is_declared(tensor):
        return tensor
    layer = InputLayer(
        batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}_input"
    )
    return layer.output


class FunctionalMixin:
    """The half of Model that follows a graph; without one, the class says `call`."""

    name: str
    built: bool
    _graph: Graph | None = None
    _graph_layers: list[Layer]

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self._graph = make_graph(inputs, outputs)
        operations = self._graph.operations
        self._graph_layers = [o for o in operations if isinstance(o, Layer)]
        self.built = True

    def _require_graph(self, what: str) -> Graph:
        if self._graph is None:
            raise AttributeError(
                f"[{what}] {type(self).__name__} '{self.name}' is defined by its "
                f"call() and has no {what}: make it from symbolic tensors, "
                "Model(inputs, outputs)."
            )
        return self._graph

    # -- symbolic ends ---------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The symbolic inputs in the structure in which they were given."""
        graph = self._require_graph("input")
        return tree.map_structure(lambda s: graph.tensors[s.index], graph.inputs)

    @property
    def output(self) -> Any:
        """The symbolic outputs in the structure in which they were given."""
        graph = self._require_graph("output")
        return tree.map_structure(lambda s: graph.tensors[s.index], graph.outputs)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        self._require_graph("inputs")
        return tree.flatten(self.input)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        self._require_graph("outputs")
        return tree.flatten(self.output)

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, flat."""
        graph = self._require_graph("input_names")
        return [graph.specs[slot.index][2] for slot in tree.flatten(graph.inputs)]

    @property
    def output_names(self) -> list[str]:
        """Names of the operations that make the outputs, flat."""
        graph = self._require_graph("output_names")
        makers = {slot: step.operation.name for slot, step, _ in graph.addresses()}
        return [
            makers.get(slot.index, graph.specs[slot.index][2])
            for slot in tree.flatten(graph.outputs)
        ]

    @property
    def input_shape(self) -> Any:
        """Shape of the input, or the structure of shapes of several."""
        graph = self._require_graph("input_shape")
        return _shapes(graph, graph.inputs)

    @property
    def output_shape(self) -> Any:
        """Shape of the output, or the structure of shapes of several."""
        graph = self._require_graph("output_shape")
        return _shapes(graph, graph.outputs)

    @property
    def operations(self) -> list[Any]:
        """Layers and operations by depth."""
        return list(self._require_graph("operations").operations)

    # -- call ------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the graph on inputs: one, a list, or a dict by name."""
        if self._graph is None:
            raise NotImplementedError(
                f"[{type(self).__name__}] implement call(self, inputs), the function "
                "of the model, or make it from symbolic tensors, "
                "Model(inputs, outputs)."
            )
        values = [
            conform(value, shape, dtype)
            for (_, value), (shape, dtype, _) in self._matched(inputs, "call")
        ]
        if mask is not None:
            _masks.attach(values, mask)
        with _call.training_as(training):
            return _single(self._graph.run(values))

    def _matched(self, inputs: Any, where: str) -> list[tuple[Any, Any]]:
        """(place in `inputs`, value) and (shape, dtype, name) of each declared input.

        Raises:
            ShapeError: for another number of inputs, missing names, or shapes that do
                not fit.
        """
        graph = self._require_graph("inputs")
        specs = [graph.specs[slot.index] for slot in tree.flatten(graph.inputs)]
        found = _by_place(self, graph, inputs, specs, where)
        for (_, value), (shape, _, name) in zip(found, specs, strict=True):
            spec = InputSpec(shape=(None, *shape[1:]), allow_last_axis_squeeze=True)
            check_shape(self, spec, value.shape, where=f"{where}: input '{name}'")
        return list(zip(found, specs, strict=True))

    # -- shapes ----------------------------------------------------------------------

    def compute_output_spec(self, inputs: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for other symbolic inputs."""
        if self._graph is None:
            return super().compute_output_spec(inputs, **kwargs)  # type: ignore[misc]
        graph = self._graph
        pairs = self._matched(inputs, type(self).__name__)
        if all(value.shape == spec[0] for (_, value), spec in pairs):
            return _single(
                tree.map_structure(
                    lambda slot: of_spec(*graph.specs[slot.index][:2]),
                    graph.outputs,
                )
            )
        values = [value for (_, value), _ in pairs]
        return _single(graph.run(values, _spec_of))

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._graph is None:
            return _call.probe_output_shape(self, input_shape)  # type: ignore[arg-type]
        dtypes = iter(
            self._graph.specs[s.index][1] for s in tree.flatten(self._graph.inputs)
        )
        symbols = tree.map_shape_structure(
            lambda shape: KerasTensor(shape, next(dtypes)), input_shape
        )
        return tree.map_structure(lambda t: t.shape, self.compute_output_spec(symbols))

    # -- data ------------------------------------------------------------------------

    def _known_output_names(self) -> list[str]:
        return [] if self._graph is None else self.output_names

    def _conform_x(self, x: Any, where: str) -> Any:
        if self._graph is not None:
            self._matched(x, where)
        return x

    def _outputs_for(self, x: Any) -> Any:
        if self._graph is None or type(self).call is not FunctionalMixin.call:
            return super()._outputs_for(x)  # type: ignore[misc]
        return _single(self.output)


def _spec_of(operation: Any, *args: Any, **kwargs: Any) -> Any:
    if not symbolic_leaves(args, kwargs):
        return operation(*args, **kwargs)
    return operation.compute_output_spec(*args, **kwargs)


def _shapes(graph: Graph, slots: Any) -> Any:
    return tree.map_structure(lambda slot: graph.specs[slot.index][0], _single(slots))


def _single(structure: Any) -> Any:
    """The only member of a list or tuple of one."""
    if isinstance(structure, (list, tuple)) and len(structure) == 1:
        return structure[0]
    return structure


def _by_place(
    model: Any, graph: Graph, inputs: Any, specs: list[Any], where: str
) -> list[tuple[Any, Any]]:
    """(place, value) of each declared input: by name from a dict, else in order."""
    names = [name for _, _, name in specs]
    if isinstance(inputs, dict):
        keys = names
        if isinstance(graph.inputs, dict):
            keys = [path[0] for path, _ in tree.flatten_with_path(graph.inputs)]
        flat = dict(inputs)
        missing = [key for key in keys if key not in flat]
        if missing and all(name in flat for name in names):
            keys, missing = names, []
        if missing:
            raise ShapeError(
                f"[{where}] {type(model).__name__} '{model.name}' has the inputs "
                f"{', '.join(names)}; received a dict with "
                f"{', '.join(map(str, flat))}: {', '.join(missing)} is missing."
            )
        return [(key, flat[key]) for key in keys]
    leaves = tree.flatten(inputs)
    if len(leaves) != len(specs):
        expected = ", ".join(f"{name} {format_shape(s)}" for s, _, name in specs)
        raise ShapeError(
            f"[{where}] {type(model).__name__} '{model.name}' expects {len(specs)} "
            f"input{'s' if len(specs) != 1 else ''} ({expected}), received "
            f"{len(leaves)}. Give a list in this order, or a dict by name."
        )
    return list(enumerate(leaves))


def conform(value: Any, shape: Any, dtype: str) -> Any:
    """The value in the declared dtype and rank (a last axis of size 1 may differ)."""
    if value.dtype != dtype:
        value = ops.cast(value, dtype)
    rank, wanted = len(value.shape), len(shape)
    if rank == wanted - 1:
        return ops.reshape(value, (*value.shape, 1))
    if rank == wanted + 1:
        return ops.reshape(value, value.shape[:-1])
    return value
