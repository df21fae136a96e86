# SPDX-License-Identifier: Apache-2.0
"""Networks for images, with weights trained on ImageNet that are downloaded on use.

Each is a function that builds a Model. Its module also has `preprocess_input`, which
makes images what the network was trained with, and `decode_predictions`.
"""

from __future__ import annotations

from typing import Any

from fastnn._lazy import load_module

# Module -> the networks it builds.
NETWORKS = {
    "convnext": "ConvNeXtBase ConvNeXtLarge ConvNeXtSmall ConvNeXtTiny ConvNeXtXLarge",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "efficientnet": """EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3
        EfficientNetB4 EfficientNetB5 EfficientNetB6 EfficientNetB7""",
    "efficientnet_v2": """EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2
        EfficientNetV2B3 EfficientNetV2L EfficientNetV2M EfficientNetV2S""",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Large MobileNetV3Small",
    "nasnet": "NASNetLarge NASNetMobile",
    "resnet": "ResNet101 ResNet152 ResNet50",
    "resnet_v2": "ResNet101V2 ResNet152V2 ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
_HOMES = {name: home for home, names in NETWORKS.items() for name in names.split()}
_MODULES = [*NETWORKS, "imagenet_utils", "resnet50"]

__all__ = sorted([*_HOMES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return load_module(f"{__name__}.{name}")
    if name not in _HOMES:
        from fastnn._absent import not_there

        raise not_there(__name__, name)
    found = getattr(load_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return list(__all__)
