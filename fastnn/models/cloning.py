# SPDX-License-Identifier: Apache-2.0
"""Copies of models with layers, and weights, of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import tree
from fastnn._registry import export
from fastnn.layers.input import Input
from fastnn.models.graph_config import takes_ends
from fastnn.models.model import Functional, Model
from fastnn.models.sequential import Sequential
from fastnn.symbolic.operation import FunctionOperation
from fastnn.symbolic.tensor import KerasTensor


@export("keras.models")
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model of the same layers with weights of their own, newly drawn.

    Args:
        model: a functional model, a Sequential, or one whose class can be made from its
            config.
        input_tensors: symbolic tensors to build on, in the structure of
            `model.input`; new inputs by default.
        clone_function: gives the layer to use in place of a layer; by default one made
            from its config.
        call_function: called with (layer, *args, **kwargs) in place of the layer, for
            functional models.
        recursive: clone nested models with the same functions.

    Raises:
        ValueError: for functions given with a model that has no known layers.

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> copy = keras.models.clone_model(model)
        >>> bool((copy.get_weights()[0] == model.get_weights()[0]).all())
        False
        >>> copy.set_weights(model.get_weights())
    """
    copy = _Copies(clone_function, call_function, recursive)
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(
                "[clone_model] call_function is for functional models: the layers of "
                f"Sequential '{model.name}' are not called when it is made."
            )
        clone = copy.sequential(model, input_tensors)
    elif isinstance(model, Model) and model._graph is not None:
        clone = copy.functional(model, input_tensors)
    elif clone_function is None and input_tensors is None and call_function is None:
        clone = type(model).from_config(model.get_config())
    else:
        raise ValueError(
            f"[clone_model] {type(model).__name__} '{model.name}' is defined by its "
            "call(): its layers cannot be replaced or called by other functions."
        )
    if model.compiled:
        clone.compile_from_config(model.get_compile_config())
    return clone


class _Copies:
    """The copies of layers made so far: a shared layer is copied once."""

    def __init__(self, clone: Any, call: Any, recursive: bool) -> None:
        self.clone = clone or _from_its_config
        self.call = call or (lambda layer, *args, **kwargs: layer(*args, **kwargs))
        self.recursive = recursive
        self.made: dict[int, Any] = {}

    def of(self, operation: Any) -> Any:
        found = self.made.get(id(operation))
        if found is None:
            found = self.made[id(operation)] = self._make(operation)
        return found

    def _make(self, operation: Any) -> Any:
        if isinstance(operation, FunctionOperation):
            kept = operation.name, operation.options
            return FunctionOperation(operation.function, *kept)
        if self.recursive and isinstance(operation, Sequential):
            return self.sequential(operation, None)
        if self.recursive and isinstance(operation, Model) and operation._graph:
            return self.functional(operation, None)
        return self.clone(operation)

    def sequential(self, model: Sequential, input_tensors: Any) -> Sequential:
        layers: list[Any] = [self.of(layer) for layer in model.layers]
        inputs = tree.flatten(input_tensors) if input_tensors is not None else []
        if len(inputs) > 1:
            raise ValueError(
                f"[clone_model] Sequential '{model.name}' has one input, received "
                f"{len(inputs)}."
            )
        if not inputs and model._output_shape is not None:
            inputs = [_again(model.input)]
        clone = Sequential([*inputs, *layers], name=model.name)
        clone._trainable = model._trainable
        return clone

    def functional(self, model: Any, input_tensors: Any) -> Any:
        given = input_tensors
        if given is None:
            given = tree.map_structure(_again, model.input)
        tree.assert_same_structure(given, model.input)

        def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
            return self.call(self.of(operation), *args, **kwargs)

        outputs = model._graph.run(tree.flatten(given), call)
        cls = type(model) if takes_ends(type(model)) else Functional
        clone = cls(given, outputs, name=model.name)
        clone._trainable = model._trainable
        return clone


def _from_its_config(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _again(tensor: KerasTensor) -> KerasTensor:
    return Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
