# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers whose whole sequence is one op where the cell's form allows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn._names import to_snake_case
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.layers._recurrent import flat_config
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.rnn import RNN


class FusedRNN(RNN):
    """Base of SimpleRNN, LSTM and GRU: makes its cell, runs sequences by one op.

    Args:
        given: the local variables of the constructor, among them the arguments of the
            cell and of `RNN`. `use_cudnn` is accepted; there is one way here.
        **kwargs: those of `RNN`, and `implementation`.
    """

    _cell_class: Any
    _cell_config: str

    def __init__(self, given: dict[str, Any], **kwargs: Any) -> None:
        make = self._cell_class
        options = {name: given[name] for name in make._arguments.split()}
        if "implementation" in kwargs:
            implementation = kwargs.pop("implementation")
            if make._gates > 1:
                options["implementation"] = implementation
        cell = make(
            **options,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name=to_snake_case(make.__name__),
        )
        own = f"{RNN._config} activity_regularizer"
        super().__init__(cell, **{n: given[n] for n in own.split()}, **kwargs)
        use_cudnn = given.get("use_cudnn", "auto")
        if use_cudnn not in ("auto", True, False):
            raise ValueError(
                f"[{type(self).__name__}] use_cudnn must be 'auto', True or False; "
                f"received {use_cudnn!r}."
            )
        self.use_cudnn = use_cudnn
        self.input_spec = InputSpec(ndim=3)

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, Any]:
        cell = self.cell
        if self.unroll or type(cell) is not self._cell_class or not cell.fuses():
            return super().inner_loop(sequences, initial_state, mask, training)
        x = sequences
        if training and 0 < cell.dropout < 1:
            x = ops.multiply(x, ops.expand_dims(cell.get_dropout_mask(x[:, 0]), 1))
        batch, steps = x.shape[:2]
        every = Tensor(np.broadcast_to(np.True_, (batch, steps)))
        flags = (mask is not None, self.go_backwards)
        found = self._run(x, initial_state, every if mask is None else mask, flags)
        end = 0 if self.go_backwards else steps - 1
        states = [part[:, end] for part in found]
        h, last = found[0], states[0]
        if mask is not None and self.zero_output_for_mask:
            h = ops.where(ops.expand_dims(mask, -1), h, 0)
            last = h[:, end]
        if not self.return_sequences:
            return last, None, states
        return last, ops.flip(h, axis=1) if self.go_backwards else h, states

    def _run(self, x: Any, states: Any, mask: Any, flags: tuple[bool, bool]) -> Any:
        """The states at all steps, in the order of the sequence."""
        raise NotImplementedError

    def _projected(self, x: Any, bias: Any) -> Any:
        """The inputs of all gates at all steps: one product."""
        batch, steps, features = x.shape
        kernel = self.cell.kernel
        rows = ops.reshape(x, (batch * steps, features))
        if bias is None:
            rows = raw.matmul(rows, kernel)
        else:
            rows = raw.linear(rows, kernel, bias)
        return ops.reshape(rows, (batch, steps, kernel.shape[1]))

    def get_config(self) -> dict[str, Any]:
        return flat_config(self, super().get_config())

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)
