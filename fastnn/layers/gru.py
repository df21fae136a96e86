# SPDX-License-Identifier: Apache-2.0
"""The GRU layer and its cell."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.layers._fused import FusedRNN
from fastnn.layers._recurrent import (
    WEIGHTS,
    RecurrentCell,
    is_sigmoid,
    is_tanh,
    shows_cell,
)


@export("keras.layers")
class GRUCell(RecurrentCell):
    """One step of a gated recurrent unit (arXiv:1406.1078).

    With `z, r` of `recurrent_activation`: `y = activation(x K + r (h R + b))`, or
    `activation(x K + (r h) R)` without `reset_after`; `h = z h + (1 - z) y`.

    Args:
        units: size of the state and the output.
        activation: of the candidate and the output; None is the identity.
        recurrent_activation: of the gates.
        use_bias: whether a bias of shape (2, 3 units), or (3 units,)
            without reset_after, is added.
        kernel_initializer: of the kernel, (features, 3 units).
        recurrent_initializer: of the recurrent kernel, (units, 3 units).
        bias_initializer: of the bias.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: add losses computed
            from the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: replace the weights
            after each update.
        dropout: share of the inputs to drop while training, the same at all steps.
        recurrent_dropout: share of the state.
        reset_after: apply the gate r behind the recurrent product.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `implementation`.
    """

    _gates = 3
    _arguments = (
        f"units activation recurrent_activation use_bias {WEIGHTS} "
        "dropout recurrent_dropout reset_after seed"
    )

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._begin(locals())
        self.state_size = self.units

    def _bias_shape(self) -> tuple[int, ...]:
        columns = 3 * self.units
        return (2, columns) if self.reset_after else (columns,)

    def biases(self) -> tuple[Any, Any]:
        """Of the inputs' product and of the recurrent one, or None."""
        if self.bias is None or not self.reset_after:
            return self.bias, None
        return self.bias[0], self.bias[1]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        listed = isinstance(states, (list, tuple))
        h = states[0] if listed else states
        bias, recurrent_bias = self.biases()
        xs = self._products(self.dropped(inputs, 3, training), self.kernel, bias, 3)
        hs = self.dropped(h, 3, training, state=True)
        count = 3 if self.reset_after else 2
        sums = self._products(hs, self.recurrent_kernel, recurrent_bias, count)
        z = self.recurrent_activation(ops.add(xs[0], sums[0]))
        r = self.recurrent_activation(ops.add(xs[1], sums[1]))
        if self.reset_after:
            more = ops.multiply(r, sums[2])
        else:
            more = ops.matmul(
                ops.multiply(r, hs[2]), self.parts(self.recurrent_kernel)[2]
            )
        y = ops.add(xs[2], more)
        y = y if self.activation is None else self.activation(y)
        h = ops.add(ops.multiply(z, h), ops.multiply(1 - z, y))
        return h, [h] if listed else h

    def _products(self, xs: list[Any], kernel: Any, bias: Any, count: int) -> list[Any]:
        """Of the first `count` gates; one product where all have the same input."""
        units = self.units
        if all(x is xs[0] for x in xs):
            kernel = kernel if count == 3 else kernel[:, : count * units]
            s = ops.matmul(xs[0], kernel)
            s = s if bias is None else ops.add(s, bias)
            return [s[:, k * units : (k + 1) * units] for k in range(count)]
        found = []
        for k in range(count):
            part = slice(k * units, (k + 1) * units)
            s = ops.matmul(xs[k], kernel[:, part])
            found.append(s if bias is None else ops.add(s, bias[part]))
        return found

    def fuses(self) -> bool:
        known = is_tanh(self.activation) and is_sigmoid(self.recurrent_activation)
        return known and self.reset_after and super().fuses()


@export("keras.layers")
@shows_cell(GRUCell._arguments)
class GRU(FusedRNN):
    """Gated recurrent units, see `GRUCell`.

    With tanh, sigmoid gates, reset_after and no recurrent dropout the whole sequence is
    one op.

    Args:
        units ... seed: those of `GRUCell`.
        return_sequences ... unroll: those of `RNN`.
        activity_regularizer: adds a loss computed from the outputs.
        use_cudnn: accepted.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`, `implementation`,
            `zero_output_for_mask`.

    Shapes:
        (batch, steps, features) -> (batch, units), or (batch, steps, units) with
        return_sequences; return_state adds h, (batch, units)

    Call arguments: those of `RNN`.

    Example:
        >>> layer = keras.layers.GRU(4, return_state=True)
        >>> output, state = layer(np.ones((2, 10, 3)))
        >>> output.shape, state.shape
        ((2, 4), (2, 4))
    """

    _cell_class = GRUCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(locals(), **kwargs)

    def _run(self, x: Any, states: Any, mask: Any, flags: tuple[bool, bool]) -> Any:
        cell = self.cell
        bias, recurrent_bias = cell.biases()
        last = Tensor(np.zeros(cell.units, x.dtype))
        if recurrent_bias is not None:  # all but the candidate's are added at once
            split = 2 * cell.units
            last = recurrent_bias[split:]
            none = Tensor(np.zeros(cell.units, x.dtype))
            bias = ops.add(bias, ops.concatenate([recurrent_bias[:split], none]))
        z = self._projected(x, bias)
        return raw.gru(z, states[0], cell.recurrent_kernel, last, mask, *flags)[:1]


__all__ = ["GRU", "GRUCell"]
