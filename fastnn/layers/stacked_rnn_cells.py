# SPDX-License-Identifier: Apache-2.0
"""Several recurrent cells as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import ops, tree
from fastnn._registry import export
from fastnn.layers import _call
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object


def _output_size(cell: Any) -> Any:
    size = getattr(cell, "output_size", None)
    return tree.flatten(cell.state_size)[0] if size is None else size


@export("keras.layers")
class StackedRNNCells(Layer):
    """Cells of which each gets the output of the one before, as one cell.

    Args:
        cells: the cells; see `RNN` for what a cell is.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: for a cell without `call` or `state_size`.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            for name in ("call", "state_size"):
                if name not in dir(cell):
                    raise ValueError(
                        "[StackedRNNCells] a cell has call(inputs, states) and "
                        f"state_size; received {cell!r} without {name}."
                    )
        self.cells = cells

    @property
    def state_size(self) -> list[Any]:
        """Those of the cells."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return int(_output_size(self.cells[-1]))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Zeros, or what the cells say; one entry per cell."""
        states = []
        for cell in self.cells:
            make = getattr(cell, "get_initial_state", None)
            if make is not None:
                states.append(make(batch_size=batch_size))
                continue
            states.append(
                tree.map_structure(
                    lambda n: ops.zeros((batch_size, n), dtype=self.compute_dtype),
                    cell.state_size,
                )
            )
        return states

    def build(self, input_shape: Any) -> None:
        shape = input_shape
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(shape)
                cell.built = True
            shape = (shape[0], _output_size(cell))

    def call(
        self, inputs: Any, states: Any, training: bool = False, **kwargs: Any
    ) -> Any:
        found = []
        for cell, state in zip(self.cells, states, strict=True):
            listed = isinstance(state, (list, tuple))
            options = dict(kwargs)
            if _call.takes_argument(type(cell).call, "training"):
                options["training"] = training
            run = cell if callable(cell) else cell.call
            inputs, new = run(inputs, list(state) if listed else [state], **options)
            new = list(new) if isinstance(new, (list, tuple)) else [new]
            found.append(new if listed or len(new) > 1 else new[0])
        return inputs, found

    def get_config(self) -> dict[str, Any]:
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> StackedRNNCells:
        config = dict(config)
        cells = [
            deserialize_keras_object(cell, custom_objects)
            for cell in config.pop("cells")
        ]
        return cls(cells, **config)
