# SPDX-License-Identifier: Apache-2.0
"""What all networks share: input, head, trained weights."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastnn import layers
from fastnn.applications._blocks import channel_axis
from fastnn.applications._checks import Options, check, image_shape
from fastnn.models import Model
from fastnn.saving.allowance import weights_limited
from fastnn.utils import get_file, get_source_inputs

STORE = "https://storage.googleapis.com/tensorflow/keras-applications/"


class File(NamedTuple):
    """Trained weights: address, hash (MD5 or SHA-256), name in the cache."""

    url: str
    digest: str | None = None
    name: str | None = None  # by default the last part of the address

    def fetch(self) -> str:
        """Path of the file, downloaded unless it is in the cache."""
        return get_file(
            self.name, self.url, cache_subdir="models", file_hash=self.digest
        )


def tf_kernels(stem: str, top: str, no_top: str) -> tuple[File, File]:
    """Files with and without the head, under the names of Keras 1 and 2."""
    url = f"{STORE}{stem}_weights_tf_dim_ordering_tf_kernels"
    return File(f"{url}.h5", top), File(f"{url}_notop.h5", no_top)


def pooled_head(
    x: Any,
    options: Options,
    pool: str | None = "avg_pool",
    dropout: float = 0.0,
    **dense: Any,
) -> Any:
    """Mean over the places, dropout, and the classifier."""
    x = layers.GlobalAveragePooling2D(name=pool)(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="top_dropout")(x)
    last = {"activation": options.classifier_activation, "name": "predictions"}
    return layers.Dense(options.classes, **last, **dense)(x)


@dataclass(frozen=True)
class Network:
    """A network, less the arguments with which it is built.

    Args:
        title: its name in errors.
        body: (image tensor, options) -> features.
        files: trained weights with and without the head.
        head: (features, options) -> probabilities.
        size: rows and columns of the images it was made for.
        smallest: rows and columns that it can take.
        named_pooling: whether the pooling in place of the head is called "avg_pool".
        after_pooling: what follows without a head.
        channels_last_only: whether it is known in that layout alone.
    """

    title: str
    body: Callable[[Any, Options], Any]
    files: tuple[File, File]
    head: Callable[[Any, Options], Any] = pooled_head
    size: int = 224
    smallest: int = 32
    named_pooling: bool = True
    after_pooling: Callable[[Any], Any] = field(default=lambda x: x)
    channels_last_only: bool = False

    def build(self, options: Options, shape: Any = None) -> Model:
        """The model.

        Args:
            options: what the caller gave.
            shape: of an image, where that is known already.

        Raises:
            ValueError: for arguments that do not go together.
            OSError: the trained weights could not be downloaded.
        """
        check(self.title, options)
        if self.channels_last_only and channel_axis() == 1:
            raise ValueError(
                f"[{self.title}] is known for images with channels last only: call "
                'config.set_image_data_format("channels_last").'
            )
        shape = shape or image_shape(self.title, options, self.size, self.smallest)
        path = options.weights
        if path == "imagenet":
            path = self.files[not options.include_top].fetch()
        with _undrawn() if path is not None else nullcontext():
            model = self._assembled(options, shape)
        if path is not None:
            model.load_weights(path)
        return model

    def _assembled(self, options: Options, shape: Any) -> Model:
        image = options.input_tensor
        if image is None:
            inputs = image = layers.Input(shape)
        else:
            inputs = get_source_inputs(image)
        x = self.body(image, options)
        if options.include_top:
            x = self.head(x, options)
        else:
            x = self.after_pooling(self._pooled(x, options.pooling))
        return Model(inputs, x, name=options.name)

    def _pooled(self, x: Any, pooling: str | None) -> Any:
        kinds = {
            "avg": layers.GlobalAveragePooling2D,
            "max": layers.GlobalMaxPooling2D,
        }
        if pooling not in kinds:
            return x
        return kinds[pooling](name=f"{pooling}_pool" if self.named_pooling else None)(x)


def _undrawn() -> AbstractContextManager[None]:
    """Weights that a file will fill need not be drawn."""
    return weights_limited(sys.maxsize)
