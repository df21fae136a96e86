# SPDX-License-Identifier: Apache-2.0
"""`tf.nn`: TensorFlow's arguments for the functions of networks."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.ops import elu as elu
from fastnn.ops import gelu as gelu
from fastnn.ops import relu as relu
from fastnn.ops import relu6 as relu6
from fastnn.ops import selu as selu
from fastnn.ops import sigmoid as sigmoid
from fastnn.ops import silu as silu
from fastnn.ops import softplus as softplus
from fastnn.ops import softsign as softsign
from fastnn.ops import tanh as tanh


def _sizes(name: str, value: Any, images: Any) -> Any:
    """Sizes along height and width of one number, two, or one per axis of images."""
    given = [value] if isinstance(value, int) else list(value)
    if len(given) == 4:
        if given[0] != 1 or given[3] != 1:
            raise ValueError(
                f"[{name}] windows and steps go along height and width only, received "
                f"{given}"
            )
        given = given[1:3]
    if len(given) not in (1, 2):
        raise ValueError(f"[{name}] expected 1, 2 or 4 numbers, received {value!r}")
    return tuple(given * (2 // len(given)))


def _last(name: str, data_format: str | None) -> str:
    if data_format not in (None, "NHWC"):
        raise ValueError(
            f"[{name}] data_format must be 'NHWC', received {data_format!r}: transpose "
            f"the images, or use fastnn.ops with channels_first"
        )
    return "channels_last"


def conv2d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    dilations: Any = None,
) -> Any:
    """Convolution of images (n, h, w, c) with filters (h, w, c, out).

    Args:
        strides, dilations: one number, two, or four for the axes of the images.
        padding: "SAME" or "VALID".
    """
    step = _sizes("conv2d", strides, input)
    spread = _sizes("conv2d", dilations or 1, input)
    layout = _last("conv2d", data_format)
    return ops.conv(input, filters, step, padding.lower(), layout, spread)


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
    dilations: Any = None,
) -> Any:
    """Every channel convolved with filters (h, w, c, multiplier) of its own."""
    step = _sizes("depthwise_conv2d", strides, input)
    spread = _sizes("depthwise_conv2d", dilations or 1, input)
    layout = _last("depthwise_conv2d", data_format)
    return ops.depthwise_conv(input, filter, step, padding.lower(), layout, spread)


def max_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
) -> Any:
    """Largest element of each window of images (n, h, w, c).

    `ksize` with a window along the channels only, (1, 1, 1, k), and equal strides,
    pools groups of k channels: depthwise pooling.
    """
    window = [ksize] if isinstance(ksize, int) else list(ksize)
    if len(window) == 4 and window[3] != 1:
        return _over_channels(input, window, strides, padding)
    size = _sizes("max_pool", window, input)
    step = _sizes("max_pool", strides, input)
    return ops.max_pool(
        input, size, step, padding.lower(), _last("max_pool", data_format)
    )


def _over_channels(images: Any, window: list[int], strides: Any, padding: str) -> Any:
    x = convert_to_tensor(images)
    k, rows = window[3], list(x.shape[:-1])
    if window[:3] != [1, 1, 1] or list(strides) != window:
        raise ValueError(
            f"[max_pool] windows along the channels go along nothing else and do not "
            f"overlap: ksize and strides (1, 1, 1, k), received {window} and {strides}"
        )
    count = x.shape[-1] // k
    if padding.upper() == "SAME" and x.shape[-1] % k:
        raise ValueError(f"[max_pool] {x.shape[-1]} channels are no groups of {k}")
    return ops.max(ops.reshape(x[..., : count * k], (*rows, count, k)), -1)


def avg_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = "NHWC",
) -> Any:
    """Mean of each window of images (n, h, w, c)."""
    size, step = (_sizes("avg_pool", v, input) for v in (ksize, strides))
    layout = _last("avg_pool", data_format)
    return ops.average_pool(input, size, step, padding.lower(), layout)


def local_response_normalization(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1.0,
    alpha: float = 1.0,
    beta: float = 0.5,
) -> Any:
    """x / (bias + alpha s)^beta, s the sum of squares of the channels within a radius.

    Krizhevsky et al. 2012, section 3.3.
    """
    x = convert_to_tensor(input)
    channels, r = x.shape[-1], depth_radius
    border = [(0, 0)] * (x.ndim - 1) + [(r, r)]
    squares = ops.pad(ops.square(x), border)
    total = squares[..., :channels]
    for shift in range(1, 2 * r + 1):
        total = total + squares[..., shift : shift + channels]
    return x / (bias + alpha * total) ** beta


lrn = local_response_normalization


def leaky_relu(features: Any, alpha: float = 0.2) -> Any:
    """x where x > 0, else alpha x."""
    return ops.leaky_relu(features, alpha)


def softmax(logits: Any, axis: int = -1) -> Any:
    """e^x / sum(e^x) along an axis."""
    return ops.softmax(logits, axis)


def log_softmax(logits: Any, axis: int = -1) -> Any:
    """log(softmax(x)) along an axis."""
    return ops.log_softmax(logits, axis)


def bias_add(value: Any, bias: Any) -> Any:
    """A bias (channels,) added along the last axis."""
    return ops.add(value, bias)


def l2_loss(t: Any) -> Any:
    """sum(t^2) / 2."""
    return ops.sum(ops.square(t)) / 2.0


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """`x / sqrt(max(sum(x**2), epsilon))` along `axis`, by default over all of x."""
    x = convert_to_tensor(x)
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False) -> Any:
    """Mean and variance over axes."""
    return ops.moments(x, axes, keepdims)


def embedding_lookup(params: Any, ids: Any) -> Any:
    """Rows of params."""
    return ops.take(params, ids, 0)


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """-y log(sigmoid(z)) - (1 - y) log(1 - sigmoid(z)), element by element."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1) -> Any:
    """-sum(labels log(softmax(logits))) along an axis."""
    return ops.categorical_crossentropy(labels, logits, from_logits=True, axis=axis)


def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """-log(softmax(logits)[label]) for each row."""
    return ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
