# SPDX-License-Identifier: Apache-2.0
"""A wrapper that keeps the largest singular value of a kernel at 1."""

from __future__ import annotations

from typing import Any

from fastnn import initializers, ops
from fastnn._registry import export
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.layers.wrapper import Wrapper


@export("keras.layers")
class SpectralNormalization(Wrapper):
    """Divides a layer's kernel by its largest singular value in each training call.

    The singular value is followed by power iteration (arXiv:1802.05957): with W the
    kernel as a matrix (inputs, outputs), `v = u W^T / |u W^T|`, `u = v W / |v W|`,
    `sigma = v W u^T`. A kernel of zeros stays.

    Args:
        layer: a layer with `kernel` or `embeddings`.
        power_iterations: iterations per call.
        **kwargs: `name`, `dtype`, `trainable`.

    Weights: those of the layer, and vector_u, (1, outputs), which is not trained.

    Raises:
        ValueError: for no positive number of iterations, and for a layer without
            such a weight.
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = _parts.positive(
            "SpectralNormalization", "power_iterations", power_iterations
        )

    def build(self, input_shape: Any = None) -> None:
        super().build(input_shape)
        self.input_spec = InputSpec(min_ndim=1, axes={-1: input_shape[-1]})
        kernel = getattr(self.layer, "kernel", None)
        kernel = getattr(self.layer, "embeddings", None) if kernel is None else kernel
        if kernel is None:
            raise ValueError(
                f"[SpectralNormalization] {type(self.layer).__name__} "
                f"'{self.layer.name}' has neither kernel nor embeddings."
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            (1, kernel.shape[-1]),
            initializers.TruncatedNormal(stddev=0.02),
            kernel.dtype,
            trainable=False,
            autocast=False,
            name="vector_u",
        )

    def call(self, inputs: Any, training: bool = False) -> Any:
        if training:
            vector_u, kernel = self.normalized_weights()
            zero = ops.all(ops.equal(self.kernel, 0))
            self.vector_u.assign(ops.where(zero, self.vector_u, vector_u))
            self.kernel.assign(ops.where(zero, self.kernel, kernel))
        outputs = self.layer(inputs)
        same = inputs.dtype not in ("int32", "int64")
        return ops.cast(outputs, inputs.dtype) if same else outputs

    def normalized_weights(self) -> tuple[Any, Any]:
        """(new vector_u, new kernel)."""
        shape = self.kernel.shape
        kernel = ops.stop_gradient(self.kernel)
        matrix = ops.reshape(kernel, (-1, shape[-1]))
        u = self.vector_u.value
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(matrix)), axis=None)
            u = ops.normalize(ops.matmul(v, matrix), axis=None)
        sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u))
        return u, ops.reshape(ops.divide(matrix, sigma), shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "power_iterations")}


__all__ = ["SpectralNormalization"]
