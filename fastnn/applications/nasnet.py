# SPDX-License-Identifier: Apache-2.0
"""NASNetMobile and NASNetLarge: cells found by search (Zoph et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastnn import layers
from fastnn.applications import _blocks, imagenet_utils
from fastnn.applications._blocks import activate, channels, half_padding, join, pad
from fastnn.applications._builder import builder
from fastnn.applications._checks import Options
from fastnn.applications._frame import STORE, File, Network, pooled_head
from fastnn.models import Model

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

norm = partial(_blocks.norm, momentum=0.9997, epsilon=1e-3)
conv = partial(_blocks.conv, kernel_initializer="he_normal")


def _body(
    x: Any, options: Options, filters: int, cells: int, stem: int, skips: bool
) -> Any:
    """Two stems, then three groups of cells with a reduction between them.

    Args:
        x: images.
        options: of the network.
        filters: of the cells of the first group; those of the next have twice as many.
        cells: in a group.
        stem: filters of the first convolution.
        skips: whether a cell after a reduction reads what the reduction read, too.
    """
    x = conv(x, stem, 3, "stem_conv1", strides=2, padding="valid")
    x = norm(x, "stem_bn1")
    x, before = _reduction(x, None, filters // 4, "stem_1"), x
    x, before = _reduction(x, before, filters // 2, "stem_2"), x
    for group in range(3):
        first = group * cells
        if group:
            made = _reduction(x, before, filters << group, f"reduce_{first}")
            x, before = made, before if skips else x
        for i in range(cells):
            number = first + i + (1 if group else 0)
            x, before = _normal(x, before, filters << group, f"{number}"), x
    return activate(x)


def _normal(x: Any, before: Any, filters: int, name: str) -> Any:
    """The cell that keeps the size, of the outputs of the two cells before it."""

    def separable(x: Any, place: str, kernel: int = 3) -> Any:
        return _separable(x, filters, kernel, f"normal_{place}_{name}")

    def mean(x: Any, place: str) -> Any:
        own = f"normal_{place}_{name}"
        return layers.AveragePooling2D(3, strides=1, padding="same", name=own)(x)

    def add(number: int, *parts: Any) -> Any:
        return layers.add(parts, name=f"normal_add_{number}_{name}")

    p = _adjusted(before, x, filters, name)
    h = conv(activate(x), filters, 1, f"normal_conv_1_{name}")
    h = norm(h, f"normal_bn_1_{name}")
    parts = [
        p,
        add(1, separable(h, "left1", 5), separable(p, "right1")),
        add(2, separable(p, "left2", 5), separable(p, "right2")),
        add(3, mean(h, "left3"), p),
        add(4, mean(p, "left4"), mean(p, "right4")),
        add(5, separable(h, "left5"), h),
    ]
    return join(parts, f"normal_concat_{name}")


def _reduction(x: Any, before: Any, filters: int, name: str) -> Any:
    """The cell that halves rows and columns."""

    def separable(x: Any, place: str, kernel: int) -> Any:
        return _separable(x, filters, kernel, f"reduction_{place}_{name}", strides=2)

    def pooled(kind: Any, place: str) -> Any:
        return kind(3, strides=2, name=f"reduction_{place}_{name}")(padded)

    p = _adjusted(before, x, filters, name)
    h = conv(activate(x), filters, 1, f"reduction_conv_1_{name}")
    h = norm(h, f"reduction_bn_1_{name}")
    padded = pad(h, half_padding(h, 3), f"reduction_pad_1_{name}")
    first = layers.add(
        [separable(h, "left1", 5), separable(p, "right1", 7)],
        name=f"reduction_add_1_{name}",
    )
    second = layers.add(
        [pooled(layers.MaxPooling2D, "left2"), separable(p, "right2", 7)],
        name=f"reduction_add_2_{name}",
    )
    third = layers.add(
        [pooled(layers.AveragePooling2D, "left3"), separable(p, "right3", 5)],
        name=f"reduction_add3_{name}",
    )
    fourth = layers.AveragePooling2D(
        3, strides=1, padding="same", name=f"reduction_left4_{name}"
    )(first)
    fourth = layers.add([second, fourth])
    fifth = layers.add(
        [
            _separable(first, filters, 3, f"reduction_left4_{name}"),
            pooled(layers.MaxPooling2D, "right5"),
        ],
        name=f"reduction_add4_{name}",
    )
    return join([second, third, fourth, fifth], f"reduction_concat_{name}")


def _separable(x: Any, filters: int, kernel: int, name: str, strides: int = 1) -> Any:
    """relu, separable convolution, normalization: twice."""
    for i in (1, 2):
        x = activate(x)
        if strides == 2:
            x = pad(x, half_padding(x, kernel), f"separable_conv_1_pad_{name}")
        x = layers.SeparableConv2D(
            filters,
            kernel,
            strides=strides,
            padding="valid" if strides == 2 else "same",
            use_bias=False,
            name=f"separable_conv_{i}_{name}",
        )(x)
        x = norm(x, f"separable_conv_{i}_bn_{name}")
        strides = 1
    return x


def _adjusted(before: Any, x: Any, filters: int, name: str) -> Any:
    """The output of an earlier cell in the size of `x`, or with `filters` channels."""
    if before is None:
        return x
    if before.shape[2] != x.shape[2]:
        p = activate(before, f"adjust_relu_1_{name}")
        shifted = layers.Cropping2D(((1, 0), (1, 0)))(pad(p, ((0, 1), (0, 1))))
        halves = []
        for i, part in ((1, p), (2, shifted)):
            own = f"adjust_avg_pool_{i}_{name}"
            part = layers.AveragePooling2D(1, strides=2, name=own)(part)
            halves.append(conv(part, filters // 2, 1, f"adjust_conv_{i}_{name}"))
        return norm(join(halves), f"adjust_bn_{name}")
    if channels(before) != filters:
        p = conv(activate(before), filters, 1, f"adjust_conv_projection_{name}")
        return norm(p, f"adjust_bn_{name}")
    return before


def _network(kind: str, size: int, *digests: str, **parts: Any) -> Network:
    names = (f"nasnet_{kind}.h5", f"nasnet_{kind}_no_top.h5")
    urls = (f"NASNet-{kind}.h5", f"NASNet-{kind}-no-top.h5")
    top, bare = (
        File(f"{STORE}nasnet/{url}", digest, own)
        for url, digest, own in zip(urls, digests, names, strict=True)
    )
    return Network(
        f"NASNet{kind.capitalize()}",
        partial(_body, **parts),
        (top, bare),
        partial(pooled_head, pool=None),
        size=size,
        named_pooling=False,
        channels_last_only=True,
    )


_MOBILE = _network(
    *("mobile", 224),
    *("020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"),
    filters=44,
    cells=4,
    stem=32,
    skips=False,
)
_LARGE = _network(
    *("large", 331),
    *("11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"),
    filters=168,
    cells=6,
    stem=96,
    skips=True,
)


def _build(options: Options, network: Network, size: int | None = None) -> Model:
    """The model; `size` of images is what it takes when none is given."""
    shape = options.input_shape
    if shape is None and size and not options.include_top:
        options = options._replace(input_shape=(size, size, 3))
    if options.weights == "imagenet" and shape is not None and None in shape:
        raise ValueError(
            f"[{network.title}] weights='imagenet' needs an input_shape without None, "
            f"received {tuple(shape)}."
        )
    return network.build(options)


def _nasnet(network: Network, name: str, **more: Any) -> Callable[..., Model]:
    return builder(
        network.title,
        partial(_build, network=network, **more),
        "Learning Transferable Architectures for Scalable Image Recognition "
        "(arXiv:1707.07012).",
        "input_shape include_top weights input_tensor pooling classes "
        "classifier_activation name",
        name,
        network.size,
    )


NASNetMobile = _nasnet(_MOBILE, "nasnet_mobile", size=224)
NASNetLarge = _nasnet(_LARGE, "nasnet_large")
preprocess_input = imagenet_utils.preprocessing("tf")
decode_predictions = imagenet_utils.decode_predictions
