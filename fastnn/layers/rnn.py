# SPDX-License-Identifier: Apache-2.0
"""RNN: a cell applied step by step along a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops, tree
from fastnn._allowance import check_state
from fastnn._registry import export
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Variable
from fastnn.errors import ShapeError
from fastnn.layers import _call
from fastnn.layers._recurrent import DropoutMasks
from fastnn.layers._tracking import Untracked
from fastnn.layers.input_spec import format_shape
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

Shape = tuple[int | None, ...]


def _listed(states: Any) -> list[Any]:
    return list(states) if isinstance(states, (list, tuple)) else [states]


def _choose(keep: Any, new: Any, old: Any) -> Any:
    """`new` in the rows to keep, else `old`."""
    shape = (keep.shape[0], *[1] * (len(new.shape) - 1))
    return ops.where(ops.reshape(keep, shape), new, old)


@export("keras.layers")
class RNN(Layer):
    """A cell applied step by step: (batch, steps, ...) -> (batch, units).

    A cell is a layer, or any object with `call(inputs, states)` that returns (output,
    next states) and `state_size`: an integer, or a list of one per state. It may have
    `output_size` and `get_initial_state(batch_size)`.

    Args:
        cell: the cell, or a list of cells to stack.
        return_sequences: return the outputs of all steps.
        return_state: return the last states too.
        go_backwards: begin at the end; outputs come in the order of the steps made.
        stateful: begin where the batch before ended, row by row.
        unroll: a plan always holds all steps one by one; fused cells run as one op
            unless it is True.
        zero_output_for_mask: outputs of masked steps are 0, not those of the step
            before.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`, `activity_regularizer`.

    Call arguments: `initial_state`, the states to begin with; `mask`, bool (batch,
    steps), False where the state stays; `training`.

    Raises:
        ValueError: for a cell without `call` or `state_size`, and for stateful=True
            without a batch size.
    """

    _config = "return_sequences return_state go_backwards stateful unroll"

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        from fastnn.layers.stacked_rnn_cells import StackedRNNCells

        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        for name in ("call", "state_size"):
            if name not in dir(cell):
                raise ValueError(
                    f"[{type(self).__name__}] a cell has call(inputs, states) and "
                    f"state_size; received {cell!r} without {name}."
                )
        super().__init__(**kwargs)
        self.zero_output_for_mask = zero_output_for_mask
        self.cell = cell
        self.return_sequences = bool(return_sequences)
        self.return_state = bool(return_state)
        self.go_backwards = bool(go_backwards)
        self.stateful = bool(stateful)
        self.unroll = bool(unroll)
        self.supports_masking = True
        self._states: Untracked = Untracked(None)
        self._check_state_size(cell.state_size)

    def _check_state_size(self, size: Any) -> None:
        if not isinstance(size, (list, tuple, int)):
            raise ValueError(
                f"[{type(self).__name__}] state_size must be an integer or a list of "
                f"them, one for each state; received {size!r}."
            )
        self.state_size = [size] if isinstance(size, int) else list(size)
        self.single_state = isinstance(size, int)

    # -- states ----------------------------------------------------------------------

    @property
    def states(self) -> Any:
        """Variables of a stateful layer, None before `build`."""
        return self._states.value

    def get_initial_state(self, batch_size: int) -> list[Any]:
        """Zeros, or what the cell says, for a batch."""
        make = getattr(self.cell, "get_initial_state", None)
        if make is not None:
            return _listed(make(batch_size=batch_size))
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return [ops.zeros((batch_size, n), dtype=dtype) for n in self.state_size]

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to 0."""
        for variable in tree.flatten(self.states) if self.states is not None else ():
            variable.assign(np.zeros(variable.shape, variable.dtype))

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def _make_states(self, batch: int | None, shape: Any) -> None:
        if batch is None:
            raise ValueError(
                f"[{type(self).__name__}] stateful=True keeps a state for each row, so "
                "the batch size must be known: Input(batch_shape=(4, ...)). Received "
                f"shape {format_shape(shape)}."
            )

        def variable(value: Any) -> Variable:
            made = Variable(
                value.numpy(),
                trainable=False,
                dtype=self.variable_dtype,
                name="rnn_state",
            )
            made.path = f"{self._path}/rnn_state"
            return made

        sizes = tree.flatten(self.state_size)
        if all(isinstance(n, int) for n in sizes):
            check_state(8 * batch * sum(sizes), f"layer '{self.name}'")
        with init_scope():
            first = self.get_initial_state(batch)
            self._states.value = tree.map_structure(variable, first)

    # -- build and call --------------------------------------------------------------

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.stateful:
            return super()._build_for(args, kwargs)
        self.build(tuple(args[0].shape))
        return None

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        step = (sequences_shape[0], *sequences_shape[2:])
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(step)
            self.cell.built = True
        if self.stateful and self.states is None:
            self._make_states(sequences_shape[0], sequences_shape)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        states = self._first_states(sequences, initial_state)
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        if mask is not None:
            mask = ops.cast(mask, "bool")
        masks = [c for c in _cells(self.cell) if isinstance(c, DropoutMasks)]
        try:
            last, outputs, states = self.inner_loop(
                sequences, states, mask, training=training
            )
        finally:
            for cell in masks:
                cell.reset_dropout_masks()
        if self.stateful:
            for variable, state in zip(
                tree.flatten(self.states), tree.flatten(states), strict=True
            ):
                variable.assign(ops.cast(state, variable.dtype))
        output = outputs if self.return_sequences else last
        if mask is not None and (self.stateful or initial_state is not None):
            output = self._silent_before_the_first(output, mask)
        return (output, *states) if self.return_state else output

    def _silent_before_the_first(self, output: Any, mask: Any) -> Any:
        """Zero until a step counts: what a masked step returns is the output of the
        step before, not the state. Keras on JAX returns the state there.
        """
        if self.return_sequences:
            mask = ops.flip(mask, axis=1) if self.go_backwards else mask
            seen = ops.cumsum(ops.cast(mask, "int32"), axis=1) > 0
        else:
            seen = ops.any(mask, axis=1)
        while len(seen.shape) < len(output.shape):
            seen = ops.expand_dims(seen, -1)
        return ops.where(seen, output, 0)

    def _first_states(self, sequences: Any, given: Any) -> list[Any]:
        batch = sequences.shape[0]
        if self.stateful:
            kept = tree.flatten(self.states)[0].shape[0]
            if kept != batch:
                raise ValueError(
                    f"[{type(self).__name__}] layer '{self.name}' is stateful and "
                    f"keeps states of {kept} rows; received a batch of {batch}."
                )
        if given is None:
            given = self.states if self.stateful else self.get_initial_state(batch)
        given = _listed(given)
        expected = len(tree.flatten(self.state_size))
        if len(tree.flatten(given)) != expected:
            raise ShapeError(
                f"[{type(self).__name__}] layer '{self.name}' has {expected} states; "
                f"initial_state has {len(tree.flatten(given))}."
            )
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(
            lambda x: ops.cast(ops.convert_to_tensor(x), dtype), given
        )

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        """The steps: (last output, all outputs or None, last states)."""
        options = {}
        cell = self.cell
        if _call.takes_argument(type(cell).call, "training"):
            options["training"] = training
        run = cell if callable(cell) else cell.call
        states, outputs, output = initial_state, [], None
        order = range(sequences.shape[1])
        for t in order[::-1] if self.go_backwards else order:
            found, new = run(sequences[:, t], states, **options)
            new = tree.pack_sequence_as(states, tree.flatten(new))
            if mask is not None:
                keep = mask[:, t]
                if self.zero_output_for_mask or output is None:
                    output = ops.zeros_like(found)
                found = _choose(keep, found, output)
                new = tree.map_structure(
                    lambda a, b, k=keep: _choose(k, a, b), new, states
                )
            output, states = found, new
            outputs.append(output)
        dtype = self.compute_dtype
        states = tree.map_structure(lambda s: ops.cast(s, dtype), states)
        every = None
        if self.return_sequences:
            every = ops.cast(ops.stack(outputs, axis=1), dtype)
        return ops.cast(output, dtype), every, states

    # -- shapes ----------------------------------------------------------------------

    def _output_size(self) -> int:
        size = getattr(self.cell, "output_size", None)
        if size is None:
            size = tree.flatten(self.state_size)[0]
        return int(size)

    def compute_output_shape(
        self, sequences_shape: Shape, initial_state_shape: Any = None
    ) -> Any:
        batch, steps = sequences_shape[:2]
        size = self._output_size()
        shape: Shape = (batch, steps, size) if self.return_sequences else (batch, size)
        if not self.return_state:
            return shape
        return (
            shape,
            *(
                (batch, n) if isinstance(n, int) else [(batch, m) for m in n]
                for n in self.state_size
            ),
        )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = tree.flatten(previous_mask)
        mask = masks[0] if masks and self.return_sequences else None
        if not self.return_state:
            return mask
        return [mask, *[None for _ in tree.flatten(self.state_size)]]

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config = {name: getattr(self, name) for name in RNN._config.split()}
        config["zero_output_for_mask"] = self.zero_output_for_mask
        config["cell"] = serialize_keras_object(self.cell)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> RNN:
        config = dict(config)
        cell = deserialize_keras_object(config.pop("cell"), custom_objects)
        return cls(cell, **config)


def _cells(cell: Any) -> list[Any]:
    """A cell, and those stacked in it."""
    inner = [c for one in getattr(cell, "cells", ()) for c in _cells(one)]
    return [cell, *inner]
