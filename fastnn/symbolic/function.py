# SPDX-License-Identifier: Apache-2.0
"""Function: the operations between symbolic inputs and outputs as one operation."""

from __future__ import annotations

from typing import Any

from fastnn import tree
from fastnn._registry import export
from fastnn.symbolic.base import Operation
from fastnn.symbolic.graph import Graph
from fastnn.symbolic.tensor import KerasTensor


@export("keras")
class Function(Operation):
    """What a functional model computes, without anything to train or save.

    Args:
        inputs: symbolic tensor or structure of them; results of operations may be cut
            off here.
        outputs: symbolic tensors that follow from them.
        name: unique name.

    Raises:
        TypeError: for ends that are no symbolic tensors.
        ValueError: for ends without a tensor, and outputs that do not follow from the
            inputs.

    Example:
        >>> x = keras.KerasTensor((None, 2))
        >>> y = keras.ops.exp(x) + 1.0
        >>> f = keras.Function(x, y)
        >>> f(np.zeros((1, 2), "float32")).numpy().tolist()
        [[2.0, 2.0]]
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        for what, ends in (("inputs", inputs), ("outputs", outputs)):
            leaves = tree.flatten(ends)
            if not leaves:
                raise ValueError(f"[Function] {what} cannot be empty, received {ends}.")
            wrong = [leaf for leaf in leaves if not isinstance(leaf, KerasTensor)]
            if wrong:
                raise TypeError(
                    f"[Function] {what} must be symbolic tensors, received "
                    f"{type(wrong[0]).__name__}."
                )
        self._ends = inputs, outputs
        self._graph = Graph(inputs, outputs)

    @property
    def operations(self) -> list[Any]:
        """Layers and operations, those farthest from the outputs first."""
        return list(self._graph.operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs, flat."""
        found: list[KerasTensor] = tree.flatten(self._ends[0])
        return found

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs, flat."""
        found: list[KerasTensor] = tree.flatten(self._ends[1])
        return found

    def call(self, inputs: Any) -> Any:
        """The outputs for inputs in the structure that was declared.

        Raises:
            ValueError: for another structure, or shapes that do not fit.
        """
        self._check(inputs)
        return self._graph.run(tree.flatten(inputs))

    def compute_output_spec(self, inputs: Any) -> Any:
        """Symbolic outputs for symbolic inputs."""
        self._check(inputs)
        given = tree.flatten(inputs)
        if all(a.shape == b.shape for a, b in zip(given, self.inputs, strict=True)):
            return tree.map_structure(
                lambda tensor: KerasTensor(tensor.shape, tensor.dtype), self._ends[1]
            )
        return self._graph.run(
            given, lambda op, *args, **kwargs: op.compute_output_spec(*args, **kwargs)
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shapes of the outputs for shapes of the inputs."""
        dtypes = iter([tensor.dtype for tensor in self.inputs])
        inputs = tree.map_shape_structure(
            lambda shape: KerasTensor(shape, next(dtypes)), input_shape
        )
        return tree.map_structure(
            lambda tensor: tensor.shape, self.compute_output_spec(inputs)
        )

    def _check(self, inputs: Any) -> None:
        try:
            tree.assert_same_structure(inputs, self._ends[0])
        except (ValueError, TypeError):
            raise ValueError(
                f"[Function] '{self.name}' expects inputs like {self._ends[0]}, "
                f"received {inputs}."
            ) from None
        for value, declared in zip(tree.flatten(inputs), self.inputs, strict=True):
            pairs = zip(value.shape, declared.shape, strict=False)
            same = len(value.shape) == declared.ndim
            if not same or any(None not in pair and len({*pair}) > 1 for pair in pairs):
                raise ValueError(
                    f"[Function] input '{declared.name}' of '{self.name}' has shape "
                    f"{declared.shape}, received {tuple(value.shape)}."
                )
