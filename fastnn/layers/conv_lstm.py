# SPDX-License-Identifier: Apache-2.0
"""LSTMs whose products are convolutions (arXiv:1506.04214)."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops, random
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _images, _parts
from fastnn.layers._recurrent import (
    WEIGHTS,
    DropoutMasks,
    flat_config,
    forget_gate_open,
    rate,
    shows_cell,
)
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.layers.rnn import RNN
from fastnn.ops._images import per_axis

_ARGUMENTS = (
    "filters kernel_size strides padding data_format dilation_rate activation "
    f"recurrent_activation use_bias unit_forget_bias {WEIGHTS} dropout "
    "recurrent_dropout seed"
)


class ConvLSTMCell(Layer, DropoutMasks):
    """One step of `ConvLSTM`; its arguments and the rank, number of spatial axes."""

    dropout_mask_count = 4
    _arguments = _ARGUMENTS

    dropout: float
    seed: int | None
    filters: int

    def __init__(self, rank: int, arguments: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        name = f"ConvLSTM{rank}D"
        self.rank = rank
        _parts.keep(self, **arguments)
        _parts.positive(name, "filters", self.filters)
        for window in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, window, per_axis(name, window, arguments[window], rank))
        self.padding = _images.padding_of(self, arguments["padding"])
        self.data_format = _images.data_format_of(self, arguments["data_format"])
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"[{name}] strides and dilation_rate cannot both be greater than 1; "
                f"received strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}."
            )
        self.dropout = rate(self.dropout)
        self.recurrent_dropout = rate(self.recurrent_dropout)
        self.seed_generator = random.SeedGenerator(self.seed)
        self.state_size = [-1, -1]  # follows from the images: get_initial_state
        self._step_shape: Any = None

    def build(self, inputs_shape: Any, states_shape: Any = None) -> None:
        channels = _parts.known_size(self, inputs_shape, _images.channel_axis(self))
        spatial = [inputs_shape[i] for i in _images.spatial_axes(self, self.rank + 2)]
        if None in spatial:
            raise ShapeError(
                f"[ConvLSTM{self.rank}D] layer '{self.name}' needs images of a known "
                f"size; received shape {format_shape(inputs_shape)}."
            )
        self._step_shape = tuple(inputs_shape[1:])
        columns = 4 * self.filters
        shape = (*self.kernel_size, channels, columns)
        self.kernel = _parts.add_weight(self, "kernel", shape)
        self.recurrent_kernel = _parts.add_weight(
            self,
            "recurrent_kernel",
            (*self.kernel_size, self.filters, columns),
            "recurrent",
        )
        self.bias = None
        if self.use_bias:
            initializer = self.bias_initializer
            if self.unit_forget_bias:
                initializer = forget_gate_open(initializer, self.filters)
            self.bias = self.add_weight(
                (columns,),
                initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        h, c = states
        xs = self.dropped(inputs, 4, training)
        hs = self.dropped(h, 4, training, state=True)
        gates = zip(self._input_gates(xs), self._state_gates(hs), strict=True)
        i, f, g, o = (ops.add(a, b) for a, b in gates)
        act, gate = self.activation, self.recurrent_activation
        c = ops.add(ops.multiply(gate(f), c), ops.multiply(gate(i), act(g)))
        h = ops.multiply(gate(o), act(c))
        return h, [h, c]

    def _input_gates(self, xs: list[Any]) -> list[Any]:
        options = {
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
        }
        return self._convolved(xs, self.kernel, self.bias, options)

    def _state_gates(self, hs: list[Any]) -> list[Any]:
        options = {"strides": (1,) * self.rank, "padding": "same"}
        return self._convolved(hs, self.recurrent_kernel, None, options)

    def _convolved(
        self, xs: list[Any], kernel: Any, bias: Any, options: dict[str, Any]
    ) -> list[Any]:
        """All gates by one convolution where they have the same input."""
        axis = _images.channel_axis(self)
        same = all(x is xs[0] for x in xs)
        kernels = [kernel] if same else ops.split(kernel, 4, axis=-1)
        biases = [bias] if same or bias is None else ops.split(bias, 4)
        found = []
        for k, part in enumerate(kernels):
            y = ops.conv(xs[k], part, data_format=self.data_format, **options)
            if bias is not None:
                one = biases[k]
                if axis == 1:
                    one = ops.reshape(one, (1, one.shape[0], *[1] * self.rank))
                y = ops.add(y, one)
            found.append(y)
        return list(ops.split(found[0], 4, axis=axis)) if same else found

    def compute_output_shape(self, inputs_shape: Any, states_shape: Any = None) -> Any:
        sizes = _images.window_sizes(
            self,
            inputs_shape,
            self.kernel_size,
            self.strides,
            self.padding,
            self.dilation_rate,
        )
        shape = _images.with_sizes(self, inputs_shape, sizes, self.filters)
        return shape, [shape, shape]

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        """Zeros of the size that the images lead to."""
        shape, _ = self.compute_output_shape((batch_size, *self._step_shape))
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, self._arguments)}


@shows_cell(_ARGUMENTS)
class ConvLSTM(RNN):
    """An LSTM along a sequence of images, whose products are convolutions.

    `i, f, g, o = conv(x, kernel) + conv(h, recurrent_kernel) + bias`, the latter with
    padding "same"; `c = f c + i g`, `h = o activation(c)`.

    Args:
        filters: number of output channels.
        kernel_size: size of the window, one integer or one per spatial axis.
        strides, padding, dilation_rate: of the inputs' convolution.
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        activation ... unit_forget_bias: see `LSTMCell`; the kernel is (*kernel_size,
            channels, 4 filters).
        kernel_regularizer ... seed: see `LSTMCell`.
        return_sequences, return_state, go_backwards, stateful: see `RNN`.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`, `unroll`.

    Shapes:
        (batch, steps, *image) -> (batch, *image) with `filters` channels, or
        (batch, steps, *image) with return_sequences

    Call arguments: those of `RNN`.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        **kwargs: Any,
    ) -> None:
        given = locals()
        cell = ConvLSTMCell(
            self.rank,
            {name: given[name] for name in _ARGUMENTS.split()},
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="conv_lstm_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        self.input_spec = InputSpec(ndim=self.rank + 3)

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        batch, steps, *image = sequences_shape
        state, _ = self.cell.compute_output_shape((batch, *image))
        shape = (batch, steps, *state[1:]) if self.return_sequences else state
        return (shape, state, state) if self.return_state else shape

    def get_config(self) -> dict[str, Any]:
        return flat_config(self, super().get_config())

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)


@export("keras.layers")
class ConvLSTM1D(ConvLSTM):
    """Along sequences of lines, (batch, steps, length, channels). See `ConvLSTM`."""

    rank = 1


@export("keras.layers")
class ConvLSTM2D(ConvLSTM):
    """Along sequences of images, (batch, steps, height, width, channels). See
    `ConvLSTM`.
    """

    rank = 2


@export("keras.layers")
class ConvLSTM3D(ConvLSTM):
    """Along sequences of volumes, (batch, steps, depth, height, width, channels). See
    `ConvLSTM`.
    """

    rank = 3


__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"]
