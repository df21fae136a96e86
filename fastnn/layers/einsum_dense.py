# SPDX-License-Identifier: Apache-2.0
"""A dense layer whose product is written as an einsum equation."""

from __future__ import annotations

import re
from math import prod
from typing import Any, NamedTuple

from fastnn import activations, initializers, ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]

_FORMS = re.compile(
    r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?"
)


class Equation(NamedTuple):
    """The labels of "...x,xy->...y".

    Attributes:
        left, right: whether "..." is in front, or at the end.
        inputs, kernel, output: labels of the two operands and of the result.
    """

    left: bool
    right: bool
    inputs: str
    kernel: str
    output: str

    @property
    def is_product(self) -> bool:
        """Whether it is `rows @ matrix`: "abc,cde->abde"."""
        shared = len(self.inputs) + len(self.kernel) - len(self.output)
        n = shared // 2
        kept = len(self.inputs) - n
        return (
            not self.right
            and shared % 2 == 0
            and n > 0
            and self.inputs[kept:] == self.kernel[:n]
            and self.output == self.inputs[:kept] + self.kernel[n:]
        )


def parse(equation: str) -> Equation:
    """Reads "ab,bc->ac", "...b,bc->...c" or "ab...,bc->ac...".

    Raises:
        ValueError: for any other form.
    """
    found = _FORMS.fullmatch(equation.replace(" ", ""))
    if found:
        left, inputs, right, kernel, out_left, output, out_right = found.groups()
        balanced = left == out_left and right == out_right and not (left and right)
        if balanced and not (right and len(inputs) < 2):
            return Equation(bool(left), bool(right), inputs, kernel, output)
    raise ValueError(
        f"[EinsumDense] equation {equation!r} must have the form 'ab,bc->ac', "
        "'...b,bc->...c' or 'ab...,bc->ac...'."
    )


class Analysis(NamedTuple):
    """What follows from an equation and the shapes of inputs and outputs."""

    kernel: tuple[Any, ...]
    bias: tuple[Any, ...] | None
    output: Shape
    input_axes: list[int]  # axes of the kernel that are summed
    output_axes: list[int]  # the others


def analyze(
    equation: Equation, bias_axes: str | None, input_shape: Shape, outputs: Shape
) -> Analysis:
    """Shapes of the weights and of the result.

    Args:
        equation: the labels.
        bias_axes: labels of the axes with a bias of their own.
        input_shape: of the inputs, with the batch.
        outputs: shape of the result without the batch and what "..." stands for.

    Raises:
        ValueError: when they contradict each other.
    """
    left, _, labels, kernel_labels, out_labels = equation
    hidden = len(input_shape) - len(labels)
    if hidden < 0:
        raise ValueError(
            f"[EinsumDense] '{labels}' has {len(labels)} axes, the inputs "
            f"{format_shape(input_shape)} fewer."
        )
    output = [input_shape[0], *outputs]
    if left:
        output[1:1] = input_shape[1:hidden]
    else:
        output += input_shape[len(input_shape) - hidden :]
    shift = hidden if left else 0
    if len(output) < len(out_labels) + shift:
        raise ValueError(
            f"[EinsumDense] '{out_labels}' has {len(out_labels)} axes, and output_shape"
            f"={outputs} gives fewer."
        )
    sizes_in = dict(zip(labels, input_shape[shift:], strict=False))
    sizes_out = dict(zip(out_labels, output[shift:], strict=False))
    _check_labels(equation, bias_axes, sizes_in, sizes_out)
    kernel: list[int | None] = []
    input_axes: list[int] = []
    output_axes: list[int] = []
    for i, label in enumerate(kernel_labels):
        own = label in sizes_out
        kernel.append(sizes_out[label] if own else sizes_in[label])
        (output_axes if own else input_axes).append(i)
    bias = None
    if bias_axes is not None:
        first = min(out_labels.find(label) for label in bias_axes)
        bias = [sizes_out[c] if c in bias_axes else 1 for c in out_labels[first:]]
        bias += [] if left else [1] * hidden
    full = tuple(output)
    return Analysis(
        tuple(kernel), None if bias is None else tuple(bias), full, input_axes,
        output_axes,
    )  # fmt: skip


def _check_labels(
    equation: Equation,
    bias_axes: str | None,
    sizes_in: dict[str, int | None],
    sizes_out: dict[str, int | None],
) -> None:
    """Every label has a size, and one only."""
    _, _, labels, kernel, outputs = equation
    for label, size in sizes_in.items():
        expected = sizes_out.get(label)
        if expected is not None and expected != size:
            raise ValueError(
                f"[EinsumDense] axis '{label}' has size {size} in the inputs and "
                f"{expected} in output_shape."
            )
    for label in outputs:
        if label not in labels + kernel:
            raise ValueError(
                f"[EinsumDense] axis '{label}' of the output '{outputs}' is neither in "
                f"the inputs '{labels}' nor in the kernel '{kernel}'."
            )
    for label in kernel:
        if label not in labels + outputs:
            raise ValueError(
                f"[EinsumDense] axis '{label}' of the kernel '{kernel}' is neither in "
                f"the inputs '{labels}' nor in the output '{outputs}'."
            )
    for label in bias_axes or "":
        if label not in outputs:
            raise ValueError(
                f"[EinsumDense] axis '{label}' of bias_axes is not in the output "
                f"'{outputs}'."
            )


@export("keras.layers")
class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: "ab,bc->ac", "...b,bc->...c" or "ab...,bc->ac...": labels of the
            inputs, the kernel, and the outputs.
        output_shape: shape of the outputs without the batch and what "..." stands for;
            None for axes as long as those of the inputs.
        activation: name, function or layer; None is the identity.
        bias_axes: labels of the output's axes with a bias of their own; None for no
            bias.
        kernel_initializer: of the kernel.
        bias_initializer: of the bias.
        kernel_regularizer: adds a loss computed from the kernel.
        bias_regularizer: adds a loss computed from the bias.
        kernel_constraint: replaces the kernel after each update.
        bias_constraint: replaces the bias after each update.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: not
            available, None only.
        **kwargs: `activity_regularizer`, `name`, `dtype`, `trainable`.

    Raises:
        ValueError: for an equation of another form, or shapes that contradict it.
        NotImplementedError: for low-rank adaptation and quantization.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _parts.refuse(
            self,
            lora_rank=lora_rank,
            gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )
        self.equation = equation
        one = isinstance(output_shape, int)
        self.partial_output_shape = (output_shape,) if one else tuple(output_shape)
        self.bias_axes = bias_axes
        _parts.keep(
            self,
            activation=activation,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )

    def _analyze(self, input_shape: Any) -> Analysis:
        return analyze(
            parse(self.equation),
            self.bias_axes,
            tuple(input_shape),
            self.partial_output_shape,
        )

    def build(self, input_shape: Any) -> None:
        shapes = self._analyze(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape))
        initializer = self.kernel_initializer
        if isinstance(initializer, initializers.VarianceScaling) and (
            initializer.input_axes is None or initializer.output_axes is None
        ):
            # Its variance follows from what the equation sums, not from axes' places.
            initializer = type(initializer).from_config(
                {
                    **initializer.get_config(),
                    "seed": initializer.seed,
                    "input_axes": shapes.input_axes,
                    "output_axes": shapes.output_axes,
                }
            )
        self.kernel = self.add_weight(
            shapes.kernel,
            initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if shapes.bias is not None:
            self.bias = _parts.add_weight(self, "bias", shapes.bias)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        equation = parse(self.equation)
        if equation.is_product and self._bias_fits(equation):
            x = self._product(inputs, equation)
        else:
            x = ops.einsum(self.equation, inputs, self.kernel)
            if self.bias is not None:
                x = ops.add(x, self.bias)
        if self.activation is None or self.activation is activations.linear:
            return x
        return self.activation(x)

    def _bias_fits(self, equation: Equation) -> bool:
        """Whether every unit has one bias, as an affine map has."""
        units = [label for label in equation.kernel if label in equation.output]
        return self.bias is None or sorted(self.bias_axes or "") == sorted(units)

    def _product(self, inputs: Any, equation: Equation) -> Any:
        """One affine map of rows, which is one instruction of a plan."""
        n = sum(label not in equation.output for label in equation.kernel)
        sizes = self.kernel.shape
        kept = inputs.shape[: len(inputs.shape) - n]
        rows, units = (prod(kept), prod(sizes[:n])), prod(sizes[n:])
        x = ops.reshape(ops.cast(inputs, self.compute_dtype), rows)
        kernel = ops.reshape(self.kernel, (rows[1], units))
        if self.bias is None:
            y = raw.matmul(x, kernel)
        else:
            y = raw.linear(x, kernel, ops.reshape(self.bias, (units,)))
        return ops.reshape(y, (*kept, *sizes[n:]))

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return self._analyze(input_shape).output

    def get_config(self) -> dict[str, Any]:
        names = (
            "equation activation bias_axes kernel_initializer bias_initializer "
            "kernel_regularizer bias_regularizer activity_regularizer "
            "kernel_constraint bias_constraint"
        )
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            **_parts.config_of(self, names),
        }


__all__ = ["EinsumDense"]
