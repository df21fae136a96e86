# SPDX-License-Identifier: Apache-2.0
"""What recurrent cells and the layers around one of them share."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import activations, initializers, ops, random, tree
from fastnn.autodiff.tensor import Tensor
from fastnn.layers import _parts
from fastnn.layers.layer import Layer

# Constructor arguments that cells and layers have in common, in Keras's order.
WEIGHTS = (
    "kernel_initializer recurrent_initializer bias_initializer kernel_regularizer "
    "recurrent_regularizer bias_regularizer kernel_constraint recurrent_constraint "
    "bias_constraint"
)


def rate(value: float) -> float:
    """A share of units to drop, limited to [0, 1] as in Keras."""
    return min(1.0, max(0.0, float(value)))


class DropoutMasks:
    """Which inputs and states of a cell are dropped: the same ones at all steps.

    Masks are drawn at the first step and forgotten after the last one.
    """

    dropout: float
    recurrent_dropout: float
    dropout_mask_count: int | None = None  # None: one mask instead of a list
    seed_generator: random.SeedGenerator
    _dropout_masks: Any = None
    _recurrent_masks: Any = None

    def _drawn(self, like: Any, share: float) -> Any:
        ones = Tensor(np.ones(like.shape, like.dtype))
        count = self.dropout_mask_count
        drawn = [
            random.dropout(ones, share, seed=self.seed_generator)
            for _ in range(count or 1)
        ]
        return drawn[0] if count is None else drawn

    def get_dropout_mask(self, step_input: Any) -> Any:
        """Factors for the inputs of a step, a list of `dropout_mask_count`, or None."""
        if self._dropout_masks is None and self.dropout > 0:
            self._dropout_masks = self._drawn(step_input, self.dropout)
        return self._dropout_masks

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        """Factors for the state."""
        if self._recurrent_masks is None and self.recurrent_dropout > 0:
            self._recurrent_masks = self._drawn(step_input, self.recurrent_dropout)
        return self._recurrent_masks

    def reset_dropout_masks(self) -> None:
        """The next step draws anew."""
        self._dropout_masks = self._recurrent_masks = None

    def dropped(self, x: Any, count: int, training: bool, state: bool = False) -> Any:
        """x for each of `count` gates, with dropout while training."""
        share = self.recurrent_dropout if state else self.dropout
        if not training or not 0 < share < 1:
            return [x] * count
        draw = self.get_recurrent_dropout_mask if state else self.get_dropout_mask
        masks = draw(x)
        masks = masks if isinstance(masks, list) else [masks] * count
        return [ops.multiply(x, mask) for mask in masks]


class RecurrentCell(Layer, DropoutMasks):
    """Base of cells with a kernel, a recurrent kernel and a bias.

    Attributes:
        implementation: 1 computes gate by gate, with a dropout mask for each; 2, the
            default, all gates at once.
    """

    implementation = 2
    units: int
    state_size: Any
    _gates = 1
    _arguments = f"units activation use_bias {WEIGHTS} dropout recurrent_dropout seed"

    def _begin(self, given: dict[str, Any]) -> None:
        """Keeps those of the constructor's local variables that are arguments."""
        _parts.keep(self, **{name: given[name] for name in self._arguments.split()})
        _parts.positive(type(self).__name__, "units", self.units)
        self.dropout = rate(self.dropout)
        self.recurrent_dropout = rate(self.recurrent_dropout)
        gated = self._gates > 1
        if gated and self.recurrent_dropout:
            self.implementation = 1
        if gated and self.implementation == 1:
            self.dropout_mask_count = self._gates
        self.seed_generator = random.SeedGenerator(self.seed)
        self.output_size = self.units

    def _bias_shape(self) -> tuple[int, ...]:
        return (self._gates * self.units,)

    def _bias_initializer(self) -> Any:
        return self.bias_initializer

    def build(self, input_shape: Any) -> None:
        features = _parts.known_size(self, input_shape, -1)
        columns = self._gates * self.units
        self.kernel = _parts.add_weight(self, "kernel", (features, columns))
        self.recurrent_kernel = _parts.add_weight(
            self, "recurrent_kernel", (self.units, columns), "recurrent"
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                self._bias_shape(),
                self._bias_initializer(),
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def parts(self, x: Any) -> list[Any]:
        """A kernel, bias or product by gates."""
        return list(ops.split(x, self._gates, axis=-1))

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Zeros."""
        sizes = tree.flatten(self.state_size)
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    def fuses(self) -> bool:
        """Whether whole sequences may run as one op: no recurrent dropout, and none
        gate by gate.
        """
        one_mask = self.dropout_mask_count is None or self.dropout == 0
        return self.recurrent_dropout == 0 and one_mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, self._arguments)}


def is_tanh(function: Any) -> bool:
    return function is activations.tanh or function is ops.tanh


def is_sigmoid(function: Any) -> bool:
    return function is activations.sigmoid or function is ops.sigmoid


def forget_gate_open(initializer: Any, units: int) -> Any:
    """An initializer of four gates' biases: ones for the second."""

    def make(shape: Any, dtype: Any = None) -> Any:
        ones = initializers.get("ones")
        parts = [
            initializer((units,), dtype=dtype),
            ones((units,), dtype=dtype),
            initializer((2 * units,), dtype=dtype),
        ]
        return ops.concatenate([ops.convert_to_tensor(part) for part in parts])

    return make


class OfCell:
    """An attribute of a layer that its cell holds."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: Any, owner: type | None = None) -> Any:
        return self if layer is None else getattr(layer.cell, self.name)


def shows_cell(names: str) -> Any:
    """Class decorator: these attributes are the cell's, and the config has them."""

    def decorate(cls: Any) -> Any:
        for name in names.split():
            if name == "seed":
                continue
            attribute = OfCell()
            attribute.name = name
            setattr(cls, name, attribute)
        cls._cell_config = names
        return cls

    return decorate


def flat_config(layer: Any, base: dict[str, Any]) -> dict[str, Any]:
    """The config of a layer that makes its cell itself."""
    config = {**base, **_parts.config_of(layer.cell, layer._cell_config)}
    del config["cell"]
    return {**config, **_parts.config_of(layer, "activity_regularizer")}
