# SPDX-License-Identifier: Apache-2.0
"""The simple recurrent layer and its cell."""

from __future__ import annotations

from typing import Any

from fastnn import activations, ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.layers._fused import FusedRNN
from fastnn.layers._recurrent import RecurrentCell, is_tanh, shows_cell


@export("keras.layers")
class SimpleRNNCell(RecurrentCell):
    """One step: `h = activation(x kernel + h recurrent_kernel + bias)` (Elman 1990).

    Args:
        units: size of the state and the output.
        activation: name, function or layer; None is the identity.
        use_bias: whether a bias of shape (units,) is added.
        kernel_initializer: of the kernel, (features, units).
        recurrent_initializer: of the recurrent kernel, (units, units).
        bias_initializer: of the bias.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: add losses computed
            from the weights.
        kernel_constraint, recurrent_constraint, bias_constraint: replace the weights
            after each update.
        dropout: share of the inputs to drop while training, the same at all steps.
        recurrent_dropout: share of the state.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._begin(locals())
        self.state_size = self.units

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        listed = isinstance(states, (list, tuple))
        (x,) = self.dropped(inputs, 1, training)
        (h,) = self.dropped(states[0] if listed else states, 1, training, state=True)
        s = ops.matmul(x, self.kernel)
        if self.bias is not None:
            s = ops.add(s, self.bias)
        s = ops.add(s, ops.matmul(h, self.recurrent_kernel))
        y = s if self.activation is None else self.activation(s)
        return y, [y] if listed else y

    def fuses(self) -> bool:
        return super().fuses() and _name_of(self.activation) is not None


def _name_of(activation: Any) -> str | None:
    """The activation's name for the op, None where the op does not have it."""
    if is_tanh(activation):
        return "tanh"
    return "relu" if activation in (activations.relu, ops.relu) else None


@export("keras.layers")
@shows_cell(RecurrentCell._arguments)
class SimpleRNN(FusedRNN):
    """Every output is fed back as the next step's state, see `SimpleRNNCell`.

    With tanh or relu and no recurrent dropout the whole sequence is one op.

    Args:
        units ... seed: those of `SimpleRNNCell`.
        return_sequences ... unroll: those of `RNN`.
        activity_regularizer: adds a loss computed from the outputs.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`, `zero_output_for_mask`.

    Shapes:
        (batch, steps, features) -> (batch, units), or (batch, steps, units) with
        return_sequences

    Call arguments: those of `RNN`.

    Example:
        >>> keras.layers.SimpleRNN(4)(np.ones((2, 10, 3))).shape
        (2, 4)
    """

    _cell_class = SimpleRNNCell

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals(), **kwargs)

    def _run(self, x: Any, states: Any, mask: Any, flags: tuple[bool, bool]) -> Any:
        cell = self.cell
        z, act = self._projected(x, cell.bias), _name_of(cell.activation)
        return [raw.simple_rnn(z, states[0], cell.recurrent_kernel, mask, act, *flags)]


__all__ = ["SimpleRNN", "SimpleRNNCell"]
