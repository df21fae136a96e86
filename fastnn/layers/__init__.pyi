# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.layers.activation import ELU as ELU
from fastnn.layers.activation import Activation as Activation
from fastnn.layers.activation import LeakyReLU as LeakyReLU
from fastnn.layers.activation import PReLU as PReLU
from fastnn.layers.activation import ReLU as ReLU
from fastnn.layers.activation import RReLU as RReLU
from fastnn.layers.activation import Softmax as Softmax
from fastnn.layers.adaptive_pooling import (
    AdaptiveAveragePooling1D as AdaptiveAveragePooling1D,
)
from fastnn.layers.adaptive_pooling import (
    AdaptiveAveragePooling2D as AdaptiveAveragePooling2D,
)
from fastnn.layers.adaptive_pooling import (
    AdaptiveAveragePooling3D as AdaptiveAveragePooling3D,
)
from fastnn.layers.adaptive_pooling import AdaptiveMaxPooling1D as AdaptiveMaxPooling1D
from fastnn.layers.adaptive_pooling import AdaptiveMaxPooling2D as AdaptiveMaxPooling2D
from fastnn.layers.adaptive_pooling import AdaptiveMaxPooling3D as AdaptiveMaxPooling3D
from fastnn.layers.attention import AdditiveAttention as AdditiveAttention
from fastnn.layers.attention import Attention as Attention
from fastnn.layers.batch_normalization import BatchNormalization as BatchNormalization
from fastnn.layers.bidirectional import Bidirectional as Bidirectional
from fastnn.layers.borders import Cropping1D as Cropping1D
from fastnn.layers.borders import Cropping2D as Cropping2D
from fastnn.layers.borders import Cropping3D as Cropping3D
from fastnn.layers.borders import ZeroPadding1D as ZeroPadding1D
from fastnn.layers.borders import ZeroPadding2D as ZeroPadding2D
from fastnn.layers.borders import ZeroPadding3D as ZeroPadding3D
from fastnn.layers.conv import Conv1D as Conv1D
from fastnn.layers.conv import Conv2D as Conv2D
from fastnn.layers.conv import Conv3D as Conv3D
from fastnn.layers.conv import Convolution1D as Convolution1D
from fastnn.layers.conv import Convolution2D as Convolution2D
from fastnn.layers.conv import Convolution3D as Convolution3D
from fastnn.layers.conv_lstm import ConvLSTM1D as ConvLSTM1D
from fastnn.layers.conv_lstm import ConvLSTM2D as ConvLSTM2D
from fastnn.layers.conv_lstm import ConvLSTM3D as ConvLSTM3D
from fastnn.layers.conv_transpose import Conv1DTranspose as Conv1DTranspose
from fastnn.layers.conv_transpose import Conv2DTranspose as Conv2DTranspose
from fastnn.layers.conv_transpose import Conv3DTranspose as Conv3DTranspose
from fastnn.layers.conv_transpose import (
    Convolution1DTranspose as Convolution1DTranspose,
)
from fastnn.layers.conv_transpose import (
    Convolution2DTranspose as Convolution2DTranspose,
)
from fastnn.layers.conv_transpose import (
    Convolution3DTranspose as Convolution3DTranspose,
)
from fastnn.layers.dense import Dense as Dense
from fastnn.layers.depthwise_conv import DepthwiseConv1D as DepthwiseConv1D
from fastnn.layers.depthwise_conv import DepthwiseConv2D as DepthwiseConv2D
from fastnn.layers.depthwise_conv import SeparableConv1D as SeparableConv1D
from fastnn.layers.depthwise_conv import SeparableConv2D as SeparableConv2D
from fastnn.layers.depthwise_conv import (
    SeparableConvolution1D as SeparableConvolution1D,
)
from fastnn.layers.depthwise_conv import (
    SeparableConvolution2D as SeparableConvolution2D,
)
from fastnn.layers.dropout import Dropout as Dropout
from fastnn.layers.einsum_dense import EinsumDense as EinsumDense
from fastnn.layers.embedding import Embedding as Embedding
from fastnn.layers.functions import Identity as Identity
from fastnn.layers.functions import Lambda as Lambda
from fastnn.layers.global_pooling import (
    GlobalAveragePooling1D as GlobalAveragePooling1D,
)
from fastnn.layers.global_pooling import (
    GlobalAveragePooling2D as GlobalAveragePooling2D,
)
from fastnn.layers.global_pooling import (
    GlobalAveragePooling3D as GlobalAveragePooling3D,
)
from fastnn.layers.global_pooling import GlobalAvgPool1D as GlobalAvgPool1D
from fastnn.layers.global_pooling import GlobalAvgPool2D as GlobalAvgPool2D
from fastnn.layers.global_pooling import GlobalAvgPool3D as GlobalAvgPool3D
from fastnn.layers.global_pooling import GlobalMaxPool1D as GlobalMaxPool1D
from fastnn.layers.global_pooling import GlobalMaxPool2D as GlobalMaxPool2D
from fastnn.layers.global_pooling import GlobalMaxPool3D as GlobalMaxPool3D
from fastnn.layers.global_pooling import GlobalMaxPooling1D as GlobalMaxPooling1D
from fastnn.layers.global_pooling import GlobalMaxPooling2D as GlobalMaxPooling2D
from fastnn.layers.global_pooling import GlobalMaxPooling3D as GlobalMaxPooling3D
from fastnn.layers.group_query_attention import (
    GroupQueryAttention as GroupQueryAttention,
)
from fastnn.layers.gru import GRU as GRU
from fastnn.layers.gru import GRUCell as GRUCell
from fastnn.layers.input import Input as Input
from fastnn.layers.input import InputLayer as InputLayer
from fastnn.layers.input_spec import InputSpec as InputSpec
from fastnn.layers.layer import Layer as Layer
from fastnn.layers.lookup import deserialize as deserialize
from fastnn.layers.lookup import serialize as serialize
from fastnn.layers.lstm import LSTM as LSTM
from fastnn.layers.lstm import LSTMCell as LSTMCell
from fastnn.layers.masking import Masking as Masking
from fastnn.layers.merging import Add as Add
from fastnn.layers.merging import Average as Average
from fastnn.layers.merging import Concatenate as Concatenate
from fastnn.layers.merging import Dot as Dot
from fastnn.layers.merging import Maximum as Maximum
from fastnn.layers.merging import Minimum as Minimum
from fastnn.layers.merging import Multiply as Multiply
from fastnn.layers.merging import Subtract as Subtract
from fastnn.layers.merging import add as add
from fastnn.layers.merging import average as average
from fastnn.layers.merging import concatenate as concatenate
from fastnn.layers.merging import dot as dot
from fastnn.layers.merging import maximum as maximum
from fastnn.layers.merging import minimum as minimum
from fastnn.layers.merging import multiply as multiply
from fastnn.layers.merging import subtract as subtract
from fastnn.layers.multi_head_attention import MultiHeadAttention as MultiHeadAttention
from fastnn.layers.noise import ActivityRegularization as ActivityRegularization
from fastnn.layers.noise import AlphaDropout as AlphaDropout
from fastnn.layers.noise import GaussianDropout as GaussianDropout
from fastnn.layers.noise import GaussianNoise as GaussianNoise
from fastnn.layers.noise import SpatialDropout1D as SpatialDropout1D
from fastnn.layers.noise import SpatialDropout2D as SpatialDropout2D
from fastnn.layers.noise import SpatialDropout3D as SpatialDropout3D
from fastnn.layers.normalization import GroupNormalization as GroupNormalization
from fastnn.layers.normalization import LayerNormalization as LayerNormalization
from fastnn.layers.normalization import RMSNormalization as RMSNormalization
from fastnn.layers.normalization import UnitNormalization as UnitNormalization
from fastnn.layers.pooling import AveragePooling1D as AveragePooling1D
from fastnn.layers.pooling import AveragePooling2D as AveragePooling2D
from fastnn.layers.pooling import AveragePooling3D as AveragePooling3D
from fastnn.layers.pooling import AvgPool1D as AvgPool1D
from fastnn.layers.pooling import AvgPool2D as AvgPool2D
from fastnn.layers.pooling import AvgPool3D as AvgPool3D
from fastnn.layers.pooling import MaxPool1D as MaxPool1D
from fastnn.layers.pooling import MaxPool2D as MaxPool2D
from fastnn.layers.pooling import MaxPool3D as MaxPool3D
from fastnn.layers.pooling import MaxPooling1D as MaxPooling1D
from fastnn.layers.pooling import MaxPooling2D as MaxPooling2D
from fastnn.layers.pooling import MaxPooling3D as MaxPooling3D
from fastnn.layers.preprocessing import Normalization as Normalization
from fastnn.layers.preprocessing import Rescaling as Rescaling
from fastnn.layers.reshaping import Flatten as Flatten
from fastnn.layers.reshaping import Permute as Permute
from fastnn.layers.reshaping import RepeatVector as RepeatVector
from fastnn.layers.reshaping import Reshape as Reshape
from fastnn.layers.reversible_embedding import (
    ReversibleEmbedding as ReversibleEmbedding,
)
from fastnn.layers.rnn import RNN as RNN
from fastnn.layers.simple_rnn import SimpleRNN as SimpleRNN
from fastnn.layers.simple_rnn import SimpleRNNCell as SimpleRNNCell
from fastnn.layers.spectral import MelSpectrogram as MelSpectrogram
from fastnn.layers.spectral import STFTSpectrogram as STFTSpectrogram
from fastnn.layers.spectral_normalization import (
    SpectralNormalization as SpectralNormalization,
)
from fastnn.layers.stacked_rnn_cells import StackedRNNCells as StackedRNNCells
from fastnn.layers.up_sampling import UpSampling1D as UpSampling1D
from fastnn.layers.up_sampling import UpSampling2D as UpSampling2D
from fastnn.layers.up_sampling import UpSampling3D as UpSampling3D
from fastnn.layers.wrapper import TimeDistributed as TimeDistributed
from fastnn.layers.wrapper import Wrapper as Wrapper

__all__ = [
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "Concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "LSTM",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MelSpectrogram",
    "Minimum",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "RNN",
    "RReLU",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "ReversibleEmbedding",
    "STFTSpectrogram",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "TimeDistributed",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]
