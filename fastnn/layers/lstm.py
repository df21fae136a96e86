# SPDX-License-Identifier: Apache-2.0
"""The LSTM layer and its cell."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.layers._fused import FusedRNN
from fastnn.layers._recurrent import (
    WEIGHTS,
    RecurrentCell,
    forget_gate_open,
    is_sigmoid,
    is_tanh,
    shows_cell,
)


@export("keras.layers")
class LSTMCell(RecurrentCell):
    """One step of long short-term memory (Hochreiter and Schmidhuber 1997).

    `i, f, g, o = x kernel + h recurrent_kernel + bias`, with `recurrent_activation` of
    i, f, o and `activation` of g; `c = f c + i g`, `h = o activation(c)`. States: h, c.

    Args:
        units: size of the states and the output.
        activation: of the candidate and the output; None is the identity.
        recurrent_activation: of the gates.
        use_bias: whether a bias of shape (4 units,) is added.
        kernel_initializer: of the kernel, (features, 4 units).
        recurrent_initializer: of the recurrent kernel, (units, 4 units).
        bias_initializer: of the bias.
        unit_forget_bias: begin with a bias of 1 for the gate f.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: add losses computed
            from the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: replace the weights
            after each update.
        dropout: share of the inputs to drop while training, the same at all steps.
        recurrent_dropout: share of the state.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `implementation`.
    """

    _gates = 4
    _arguments = (
        f"units activation recurrent_activation use_bias unit_forget_bias {WEIGHTS} "
        "dropout recurrent_dropout seed"
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
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._begin(locals())
        self.state_size = [self.units, self.units]

    def _bias_initializer(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        return forget_gate_open(self.bias_initializer, self.units)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        if self.implementation == 1:
            gates = self._gate_by_gate(inputs, h, training)
        else:
            (x,) = self.dropped(inputs, 1, training)
            s = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
            gates = self.parts(s if self.bias is None else ops.add(s, self.bias))
        i, f, g, o = gates
        act, gate = self.activation, self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), act(g)))
        h = ops.multiply(gate(o), act(c))
        return h, [h, c]

    def _gate_by_gate(self, inputs: Any, h: Any, training: bool) -> list[Any]:
        found = []
        biases = [None] * 4 if self.bias is None else self.parts(self.bias)
        for x, state, kernel, recurrent, bias in zip(
            self.dropped(inputs, 4, training),
            self.dropped(h, 4, training, state=True),
            self.parts(self.kernel),
            self.parts(self.recurrent_kernel),
            biases,
            strict=True,
        ):
            s = ops.matmul(x, kernel)
            s = s if bias is None else ops.add(s, bias)
            found.append(ops.add(s, ops.matmul(state, recurrent)))
        return found

    def fuses(self) -> bool:
        known = is_tanh(self.activation) and is_sigmoid(self.recurrent_activation)
        return known and super().fuses()


@export("keras.layers")
@shows_cell(LSTMCell._arguments)
class LSTM(FusedRNN):
    """Long short-term memory, see `LSTMCell`.

    With tanh, sigmoid gates and no recurrent dropout the whole sequence is one op.

    Args:
        units ... seed: those of `LSTMCell`.
        return_sequences ... unroll: those of `RNN`.
        activity_regularizer: adds a loss computed from the outputs.
        use_cudnn: accepted.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`, `implementation`,
            `zero_output_for_mask`.

    Shapes:
        (batch, steps, features) -> (batch, units), or (batch, steps, units) with
        return_sequences; return_state adds h and c, (batch, units)

    Call arguments: those of `RNN`.

    Example:
        >>> layer = keras.layers.LSTM(4, return_sequences=True)
        >>> layer(np.ones((2, 10, 3))).shape
        (2, 10, 4)
    """

    _cell_class = LSTMCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(locals(), **kwargs)

    def _run(self, x: Any, states: Any, mask: Any, flags: tuple[bool, bool]) -> Any:
        cell = self.cell
        z, (h, c) = self._projected(x, cell.bias), states
        return raw.lstm(z, h, c, cell.recurrent_kernel, mask, *flags)[:2]


__all__ = ["LSTM", "LSTMCell"]
