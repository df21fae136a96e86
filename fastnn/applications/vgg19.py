# SPDX-License-Identifier: Apache-2.0
"""VGG19: as VGG16, with a convolution more in each of the later blocks."""

from __future__ import annotations

from fastnn.applications import imagenet_utils, vgg16
from fastnn.applications._builder import usual
from fastnn.applications._frame import Network, tf_kernels

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

VGG19 = usual(
    Network(
        "VGG19",
        lambda x, options: vgg16.stacks(x, (2, 2, 4, 4, 4)),
        tf_kernels(
            "vgg19/vgg19",
            "cbe5617147190e668d6c5d5026f83318",
            "253f8cb515780f3b799900260a226db6",
        ),
        vgg16.head,
        named_pooling=False,
    ),
    vgg16.PAPER,
)
preprocess_input = imagenet_utils.preprocessing("caffe")
decode_predictions = imagenet_utils.decode_predictions
