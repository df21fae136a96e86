# SPDX-License-Identifier: Apache-2.0
"""Layers on images: what they refuse, aliases, overrides, open sizes."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import config, layers, ops
from fastnn._registry import exported
from fastnn.autodiff.grad import GradientTape
from fastnn.errors import ShapeError
from fastnn.models import Sequential

RNG = np.random.default_rng(1)
IMAGES = RNG.normal(size=(2, 6, 5, 4)).astype("f")


def test_every_exported_name_is_in_the_module():
    for name, thing in exported("keras.layers").items():
        assert getattr(layers, name) is thing, name
        assert name in layers.__all__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "filters must be a positive integer, received 0"),
        ({"filters": 2.5}, "filters must be a positive integer, received 2.5"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size must be .* 2 of them.*\(3, 3, 3\)"),
        ({"kernel_size": 0}, "kernel_size must be a positive integer"),
        ({"strides": -1}, "strides must be a positive integer"),
        ({"padding": "full"}, "padding must be one of valid, same; received 'full'"),
        ({"padding": "causal"}, "padding must be one of valid, same"),
        ({"data_format": "NCHW"}, "data_format must be .* received 'NCHW'"),
        ({"groups": 3}, "filters must be a multiple of groups.*filters=4 and groups=3"),
        ({"strides": 2, "dilation_rate": 2}, "cannot both be greater than 1"),
        ({"activation": "rellu"}, "Did you mean 'relu'"),
        ({"filter": 3}, "unknown keyword arguments: filter=3. Did you mean 'filters'"),
    ],
)
def test_conv_refuses_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        layers.Conv2D(**{"filters": 4, "kernel_size": 3, **arguments})


class TestConvShapes:
    def test_images_without_channels(self):
        message = r"Conv2D\] layer 'c' expects an input of rank 4; .*\(8, 28, 28\)"
        with pytest.raises(ShapeError, match=message):
            layers.Conv2D(3, 3, name="c")(np.zeros((8, 28, 28), "f"))

    def test_other_channels_than_built_for(self):
        layer = layers.Conv2D(3, 3)
        layer(IMAGES)
        with pytest.raises(ShapeError, match=r"last axis has size 4; received shape"):
            layer(IMAGES[..., :3])

    def test_channels_that_groups_do_not_divide(self):
        with pytest.raises(ShapeError, match="4 input channels are no multiple"):
            layers.Conv2D(6, 3, groups=3)(IMAGES)

    def test_a_window_larger_than_the_image_leaves_no_weights(self):
        layer = layers.Conv2D(3, 7)
        with pytest.raises(ShapeError, match=r"\(7, 7\) do not fit .*None, 6, 5, 4\)"):
            layer(IMAGES)
        assert not layer.built and layer.weights == []

    def test_too_many_pooling_layers_are_found_when_stacked(self):
        model = Sequential([layers.Input((4, 4, 1)), layers.MaxPooling2D(4)])
        with pytest.raises(ShapeError, match="fewer pooling layers before it"):
            model.add(layers.MaxPooling2D())

    @pytest.mark.parametrize(
        ("layer", "expected"),
        [
            (layers.Conv2D(5, 3, strides=2), (None, None, 2, 5)),
            (layers.Conv2DTranspose(5, 3, strides=2), (None, None, 11, 5)),
            (layers.MaxPooling2D(padding="same"), (None, None, 3, 4)),
            (layers.GlobalMaxPooling2D(), (None, 4)),
            (layers.ZeroPadding2D(), (None, None, 7, 4)),
            (layers.Cropping2D(1), (None, None, 3, 4)),
            (layers.UpSampling2D(3), (None, None, 15, 4)),
        ],
        ids=lambda v: getattr(v, "name", None),
    )
    def test_open_sizes_stay_open(self, layer, expected):
        assert layer.compute_output_shape((None, None, 5, 4)) == expected


def test_default_data_format_is_the_configured_one():
    config.set_image_data_format("channels_first")
    try:
        layer = layers.Conv2D(3, 3, padding="same")
        assert layer(np.moveaxis(IMAGES, -1, 1)).shape == (2, 3, 6, 5)
        assert layers.MaxPool2D().data_format == "channels_first"
    finally:
        config.set_image_data_format("channels_last")
    assert layers.Conv2D(3, 3).data_format == "channels_last"


@pytest.mark.parametrize("first", [False, True])
def test_a_subclass_may_replace_the_convolution(first):
    class Standardized(layers.Conv2D):
        """Kernels of mean 0 (weight standardization, arXiv:1903.10520)."""

        def convolution_op(self, inputs, kernel):
            mean = ops.mean(kernel, axis=(0, 1, 2), keepdims=True)
            return super().convolution_op(inputs, ops.subtract(kernel, mean))

    form = "channels_first" if first else "channels_last"
    x = np.moveaxis(IMAGES, -1, 1) if first else IMAGES
    ours = Standardized(3, 3, data_format=form, bias_initializer="ones")
    plain = layers.Conv2D(3, 3, data_format=form, bias_initializer="ones")
    got = ours(x).numpy()
    plain.build(x.shape)
    kernel = ours.kernel.numpy()
    plain.set_weights([kernel - kernel.mean((0, 1, 2)), np.ones(3)])
    np.testing.assert_allclose(got, plain(x).numpy(), 1e-5, 1e-5)


def test_images_of_integers():
    x = RNG.integers(0, 256, (2, 6, 5, 4), "uint8")
    layer = layers.Conv2D(3, 3)
    got = layer(x)
    assert got.dtype == "float32"
    expected = layer(x.astype("f")).numpy()
    np.testing.assert_array_equal(got.numpy(), expected)


def test_conv3dtranspose_has_data_format_before_output_padding():
    layer = layers.Conv3DTranspose(2, 2, 2, "valid", "channels_first", 1)
    assert (layer.data_format, layer.output_padding) == ("channels_first", (1, 1, 1))


def test_output_padding_is_less_than_the_strides():
    with pytest.raises(ValueError, match=r"less than the strides \(2, 2\), received 2"):
        layers.Conv2DTranspose(3, 3, 2, output_padding=2)


class TestBorders:
    def test_cropping_everything(self):
        with pytest.raises(ShapeError, match=r"leaves nothing of shape \(2, 6, 5, 4\)"):
            layers.Cropping2D((0, 3))(IMAGES)

    @pytest.mark.parametrize("padding", [-1, (1, 2, 3), ((1, 2), (3,)), "same"])
    def test_paddings_are_numbers_from_0_on(self, padding):
        with pytest.raises(ValueError, match=r"ZeroPadding2D\] padding must be"):
            layers.ZeroPadding2D(padding)

    def test_up_sampling_knows_its_methods(self):
        with pytest.raises(ValueError, match=r"must be one of .* received 'area'"):
            layers.UpSampling2D(interpolation="area")


class TestEmbedding:
    def test_rows_of_the_table(self):
        table = RNG.normal(size=(5, 3))
        layer = layers.Embedding(5, 3, weights=table, dtype="float64")
        indices = np.array([[0, 4], [2, 2]])
        np.testing.assert_array_equal(layer(indices).numpy(), table[indices])
        np.testing.assert_array_equal(
            layer(indices.astype("f")).numpy(), table[indices]
        )

    def test_gradients_of_repeated_indices_add_up(self):
        layer = layers.Embedding(4, 2, weights=np.ones((4, 2)))
        with GradientTape() as tape:
            total = ops.sum(layer(np.array([[1, 1, 3]])))
        slope = tape.gradient(total, layer.embeddings).numpy()
        np.testing.assert_array_equal(slope, [[0, 0], [2, 2], [0, 0], [1, 1]])

    @pytest.mark.parametrize("option", ["lora_rank", "quantization_config"])
    def test_what_is_not_supported_says_so(self, option):
        with pytest.raises(NotImplementedError, match=f"{option}=1 is not supported"):
            layers.Embedding(3, 4, **{option: 1})

    @pytest.mark.parametrize("eager", [False, True])
    def test_first_layer_reads_integers(self, eager):
        model = Sequential(
            [
                layers.Embedding(10, 4, embeddings_initializer="ones"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(1, kernel_initializer="ones"),
            ]
        )
        model.compile("sgd", "mse", run_eagerly=eager)
        x = np.arange(60).reshape(20, 3) % 10
        history = model.fit(x, x.sum(1) / 9, 5, epochs=2, shuffle=False, verbose=0)
        first, second = history.history["loss"]
        assert second < first
        assert model.layers[0].embeddings.numpy().std() > 0
