# SPDX-License-Identifier: Apache-2.0
"""One table of layers: class, arguments, input shapes.

tools/record_keras_layers.py runs it in Keras, test_against_keras.py in fastnn. Both
draw the same weights and inputs from a seed, so the golden file has only results.
"""

from __future__ import annotations

from layer_table import CASES as CASES
from layer_table import FIRST, IMAGE, case
from layer_table import Case as Case
from layer_table import plain as plain
from layer_table import uniform as uniform
from layer_table import weight as weight

# Convolutions
case("Conv1D", (2, 9, 4), filters=3, kernel_size=3)
case("Conv1D", (2, 9, 4), filters=3, kernel_size=4, padding="causal", dilation_rate=2)
case("Conv1D", (2, 9, 4), filters=4, kernel_size=4, padding="causal", strides=2)
case("Conv1D", (2, 4, 9), filters=4, kernel_size=3, padding="same", groups=2, **FIRST)
case("Conv1D", (2, 4, 9), filters=3, kernel_size=2, padding="causal", **FIRST)
case("Conv2D", IMAGE, filters=5, kernel_size=3, activation="relu")
case("Conv2D", IMAGE, filters=3, kernel_size=(2, 3), strides=(2, 1), padding="same")
case("Conv2D", IMAGE, filters=3, kernel_size=3, padding="SAME", dilation_rate=(1, 2))
case("Conv2D", IMAGE, filters=4, kernel_size=3, groups=2, use_bias=False)
case("Conv2D", (2, 4, 7, 6), filters=3, kernel_size=3, activation="tanh", **FIRST)
case("Conv2D", IMAGE, filters=3, kernel_size=1, activation="softmax")
case("Conv3D", (2, 5, 4, 6, 2), filters=3, kernel_size=2)
case("Conv3D", (2, 5, 4, 6, 2), filters=3, kernel_size=3, strides=2, padding="same")
case("Conv3D", (2, 2, 5, 4, 6), filters=3, kernel_size=(1, 2, 3), **FIRST)

# Pooling
for _kind, _size in (("Max", {}), ("Average", {"pool_size": 2})):
    case(f"{_kind}Pooling1D", (2, 7, 3), **_size)
    case(f"{_kind}Pooling1D", (2, 7, 3), pool_size=3, strides=2, padding="same")
    case(f"{_kind}Pooling1D", (2, 3, 7), pool_size=3, strides=1, **FIRST)
    case(f"{_kind}Pooling2D", IMAGE, **_size)
    case(f"{_kind}Pooling2D", IMAGE, pool_size=(3, 2), strides=(1, 2), padding="same")
    case(f"{_kind}Pooling2D", (2, 4, 7, 6), pool_size=2, padding="same", **FIRST)
    case(f"{_kind}Pooling3D", (2, 5, 4, 6, 2), **_size)
    case(f"{_kind}Pooling3D", (2, 2, 5, 4, 6), pool_size=(2, 1, 3), **FIRST)
    for _rank in (1, 2, 3):
        _shape = (2, *(4, 3, 5)[:_rank], 3)
        case(f"Global{_kind}Pooling{_rank}D", _shape)
        case(f"Global{_kind}Pooling{_rank}D", _shape, keepdims=True)
        case(f"Global{_kind}Pooling{_rank}D", _shape, **FIRST)
        case(f"Adaptive{_kind}Pooling{_rank}D", _shape, output_size=(3, 2, 2)[:_rank])
        case(f"Adaptive{_kind}Pooling{_rank}D", _shape, output_size=2, **FIRST)

# Normalization
case("BatchNormalization", (5, 3))
case("BatchNormalization", (5, 3), training=True)
case("BatchNormalization", (2, 3, 4, 3), training=True, epsilon=0.1, momentum=0.5)
case("BatchNormalization", (2, 3, 4, 3), training=True, axis=1)
case("BatchNormalization", (2, 3, 4, 3), training=True, center=False, scale=False)
case("BatchNormalization", (2, 3, 4, 3), center=False)
case("BatchNormalization", (4, 3, 2), training=True, scale=False)

# Activations
case("ELU", (3, 5), alpha=0.7)
case("LeakyReLU", (3, 5))
case("LeakyReLU", (3, 5), negative_slope=0.1)
case("PReLU", (3, 4, 5))
case("PReLU", (3, 4, 5), shared_axes=[1])
case("ReLU", (3, 5))
case("ReLU", (3, 5), max_value=0.5, negative_slope=0.2, threshold=0.1)
case("Softmax", (3, 4, 5))
case("Softmax", (3, 4, 5), axis=1)
case("Softmax", (3, 4, 5), axis=[1, 2])
case("Activation", (3, 5), activation="gelu")

# Core and reshaping
case("Dense", (3, 5), units=4, activation="sigmoid")
case("Dense", (3, 2, 5), units=4, use_bias=False)
case("Flatten", (2, 3, 4))
case("Flatten", (2, 3, 4), **FIRST)
case("Permute", (2, 3, 4), dims=(2, 1))
case("RepeatVector", (2, 3), n=4)
case("Reshape", (2, 3, 4), target_shape=(2, -1))

# Transposed, depthwise and separable convolutions
case("Conv1DTranspose", (2, 5, 4), filters=3, kernel_size=3)
case("Conv1DTranspose", (2, 5, 4), filters=3, kernel_size=2, strides=3, padding="same")
case("Conv1DTranspose", (2, 4, 5), filters=3, kernel_size=3, strides=2, **FIRST)
case("Conv2DTranspose", (2, 4, 5, 3), filters=2, kernel_size=3, activation="relu")
case(
    "Conv2DTranspose",
    (2, 4, 5, 3),
    filters=2,
    kernel_size=(3, 4),
    strides=2,
    padding="same",
    output_padding=1,
)
case("Conv2DTranspose", (2, 4, 5, 3), filters=2, kernel_size=3, dilation_rate=2)
case("Conv2DTranspose", (2, 3, 4, 5), filters=2, kernel_size=2, strides=2, **FIRST)
case("Conv3DTranspose", (1, 3, 2, 3, 2), filters=2, kernel_size=2, strides=2)
case(
    "Conv3DTranspose",
    (1, 3, 2, 3, 2),
    filters=2,
    kernel_size=3,
    strides=(1, 2, 1),
    padding="same",
    use_bias=False,
)
case("DepthwiseConv1D", (2, 7, 3), kernel_size=3, depth_multiplier=2)
case("DepthwiseConv1D", (2, 3, 7), kernel_size=2, padding="same", **FIRST)
case("DepthwiseConv2D", IMAGE, kernel_size=3, padding="same", activation="relu")
case("DepthwiseConv2D", IMAGE, kernel_size=(2, 3), strides=2, depth_multiplier=3)
case("DepthwiseConv2D", (2, 4, 7, 6), kernel_size=3, dilation_rate=2, **FIRST)
case("SeparableConv1D", (2, 7, 3), filters=4, kernel_size=3, padding="same")
case("SeparableConv1D", (2, 3, 7), filters=4, kernel_size=3, strides=2, **FIRST)
case("SeparableConv2D", IMAGE, filters=3, kernel_size=3, activation="tanh")
case("SeparableConv2D", IMAGE, filters=3, kernel_size=2, depth_multiplier=2, strides=2)
case("SeparableConv2D", (2, 4, 7, 6), filters=3, kernel_size=3, use_bias=False, **FIRST)

# Borders and sizes
case("ZeroPadding1D", (2, 4, 3))
case("ZeroPadding1D", (2, 3, 4), padding=(2, 1), **FIRST)
case("ZeroPadding2D", (2, 4, 3, 2))
case("ZeroPadding2D", (2, 4, 3, 2), padding=(2, 1))
case("ZeroPadding2D", (2, 2, 4, 3), padding=((0, 2), (1, 3)), **FIRST)
case("ZeroPadding3D", (1, 2, 3, 2, 2))
case("ZeroPadding3D", (1, 2, 3, 2, 2), padding=((0, 1), (2, 0), (1, 1)))
case("Cropping1D", (2, 6, 3))
case("Cropping1D", (2, 6, 3), cropping=(0, 2))
case("Cropping2D", (2, 5, 6, 2))
case("Cropping2D", (2, 5, 6, 2), cropping=2)
case("Cropping2D", (2, 2, 5, 6), cropping=((1, 0), (2, 1)), **FIRST)
case("Cropping3D", (1, 4, 3, 5, 2))
case("Cropping3D", (1, 2, 4, 3, 5), cropping=(1, 0, 2), **FIRST)
case("UpSampling1D", (2, 3, 4))
case("UpSampling1D", (2, 3, 4), size=3)
case("UpSampling2D", (2, 3, 2, 2))
case("UpSampling2D", (2, 3, 2, 2), size=(1, 3))
case("UpSampling2D", (2, 2, 3, 2), size=2, interpolation="bilinear", **FIRST)
case("UpSampling2D", (1, 3, 4, 2), size=(2, 3), interpolation="bilinear")
case("UpSampling3D", (1, 2, 3, 2, 2))
case("UpSampling3D", (1, 2, 2, 3, 2), size=(1, 2, 3), **FIRST)

# Merging
for _name in ("Add", "Multiply", "Average", "Maximum", "Minimum"):
    case(_name, (2, 3, 4), (2, 3, 4), (2, 3, 4))
    case(_name, (2, 3, 4), (2, 1, 4))
case("Add", (2, 3, 4), (2, 4))
case("Subtract", (2, 3), (2, 3))
case("Subtract", (2, 3, 4), (2, 3, 1))
case("Concatenate", (2, 3, 4), (2, 3, 2))
case("Concatenate", (2, 3, 4), (2, 1, 4), (2, 2, 4), axis=1)
case("Dot", (2, 3, 5), (2, 4, 3), axes=(1, 2))
case("Dot", (2, 5), (2, 5), axes=1)
case("Dot", (2, 5), (2, 5), axes=-1, normalize=True)
case("Dot", (2, 3, 4, 5), (2, 5, 6), axes=(3, 1))
case("Dot", (2, 5), (2, 5, 4), axes=(1, 1), normalize=True)

# Normalization of each sample
case("LayerNormalization", (3, 5))
case("LayerNormalization", (2, 3, 4), axis=[1, 2], epsilon=0.1)
case("LayerNormalization", (2, 3, 4), center=False)
case("LayerNormalization", (2, 3, 4), scale=False, rms_scaling=False)
case("GroupNormalization", (2, 3, 4, 6), groups=3)
case("GroupNormalization", (2, 6, 3, 4), groups=2, axis=1)
case("GroupNormalization", (2, 5, 4), groups=-1, epsilon=0.1, center=False)
case("GroupNormalization", (2, 6), groups=2, scale=False)
case("RMSNormalization", (3, 5))
case("RMSNormalization", (2, 3, 4), axis=[1, 2], epsilon=0.1)
case("UnitNormalization", (3, 5))
case("UnitNormalization", (2, 3, 4), axis=[1, 2])

# Without randomness: noise outside training
case("Dropout", (3, 4), rate=0.5)
case("GaussianNoise", (3, 4), stddev=0.5)
case("GaussianDropout", (3, 4), rate=0.5)
case("AlphaDropout", (3, 4), rate=0.5)
case("SpatialDropout1D", (2, 3, 4), rate=0.5)
case("SpatialDropout2D", (2, 3, 2, 4), rate=0.5)
case("SpatialDropout3D", (2, 2, 3, 2, 2), rate=0.5, **FIRST)
case("ActivityRegularization", (3, 4), l1=0.1, l2=0.2)

# The others
case("Embedding", (3, 4), classes=7, input_dim=7, output_dim=3)
case("Identity", (3, 4))
case("Rescaling", (3, 4), scale=0.5, offset=-1.0)
case("Rescaling", (3, 4), scale=[0.5, 1.0, 2.0, 4.0], offset=[1.0, 0.0, 2.0, 3.0])
case("Normalization", (3, 4))
case("Normalization", (3, 4, 2), axis=(1, 2), mean=[0.5, 1.0], variance=[2.0, 3.0])
case("Normalization", (3, 4), axis=None, mean=0.5, variance=4.0, invert=True)
case("BatchNormalization", (5, 3), training=True, renorm=True, renorm_momentum=0.8)
case(
    "BatchNormalization",
    (2, 3, 4, 3),
    training=True,
    renorm=True,
    renorm_clipping={"rmin": 0.8, "rmax": 1.1, "dmax": 0.3},
    scale=False,
)

# Spectrograms
for _mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
    case("STFTSpectrogram", (2, 36, 2), mode=_mode, frame_length=8)
case("STFTSpectrogram", (2, 41, 2), frame_length=9, frame_step=3, padding="same")
case("STFTSpectrogram", (2, 40, 2), mode="psd", frame_length=8, expand_dims=True)
case(
    "STFTSpectrogram",
    (2, 2, 40),
    mode="stft",
    frame_length=8,
    window="hamming",
    expand_dims=True,
    **FIRST,
)
case("STFTSpectrogram", (2, 2, 40), mode="real", frame_length=8, scaling=None, **FIRST)
_MEL = {"fft_length": 64, "sequence_stride": 20, "num_mel_bins": 6, "min_freq": 0.0}
case("MelSpectrogram", (2, 150), **_MEL)
case("MelSpectrogram", (2, 150), sequence_length=50, power_to_db=False, **_MEL)
case("MelSpectrogram", (2, 151), mag_exp=1.0, ref_power=0.5, top_db=20.0, **_MEL)

import sequence_cases  # noqa: E402, F401  (adds its rows)
