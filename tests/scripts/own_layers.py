# SPDX-License-Identifier: Apache-2.0
"""Layers of one's own: weights, losses, masks, states, freezing."""

import keras
import numpy as np
from keras import layers, ops
from script_tools import fix, show, summary


class Linear(layers.Layer):
    def __init__(self, units=32, input_dim=32):
        super().__init__()
        self.w = self.add_weight(
            shape=(input_dim, units), initializer="random_normal", trainable=True
        )
        self.b = self.add_weight(shape=(units,), initializer="zeros", trainable=True)

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b


x = ops.ones((2, 2))
linear_layer = fix(Linear(4, 2))
y = linear_layer(x)
show("y", y)
show("is", linear_layer.weights == [linear_layer.w, linear_layer.b])
show("names", [(w.name, w.path) for w in linear_layer.weights])


class ComputeSum(layers.Layer):
    def __init__(self, input_dim):
        super().__init__()
        self.total = self.add_weight(
            initializer="zeros", shape=(input_dim,), trainable=False
        )

    def call(self, inputs):
        self.total.assign_add(ops.sum(inputs, axis=0))
        return self.total


s = ComputeSum(2)
show("sum", s(x))
show("sum", s(x))
show("w", [len(s.weights), len(s.non_trainable_weights), len(s.trainable_weights)])


class Lazy(layers.Layer):
    def __init__(self, units=32):
        super().__init__()
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer="random_normal",
            trainable=True,
        )
        self.b = self.add_weight(
            shape=(self.units,), initializer="random_normal", trainable=True
        )

    def call(self, inputs):
        return ops.matmul(inputs, self.w) + self.b


class MLPBlock(layers.Layer):
    def __init__(self):
        super().__init__()
        self.linear_1 = Lazy(32)
        self.linear_2 = Lazy(32)
        self.linear_3 = Lazy(1)

    def call(self, inputs):
        x = self.linear_1(inputs)
        x = keras.activations.relu(x)
        x = self.linear_2(x)
        x = keras.activations.relu(x)
        return self.linear_3(x)


mlp = MLPBlock()
mlp(ops.ones(shape=(3, 64)))
show(
    "weights",
    [len(mlp.weights), len(mlp.trainable_weights), [w.path for w in mlp.weights]],
)


class OuterLayerWithKernelRegularizer(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(32, kernel_regularizer=keras.regularizers.l2(1e-3))

    def call(self, inputs):
        return self.dense(inputs)


layer = OuterLayerWithKernelRegularizer()
layer(ops.zeros((1, 1)))
fix(layer)
show("losses", [float(v) for v in layer.losses])


class CustomDropout(layers.Layer):
    def __init__(self, rate, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs, training=None):
        if training:
            return keras.random.dropout(
                inputs, rate=self.rate, seed=self.seed_generator
            )
        return inputs


cd = CustomDropout(0.5)
show(
    "drop",
    [
        bool(np.all(np.isin(np.asarray(cd(ops.ones((4, 5)), training=True)), [0, 2]))),
        cd(ops.ones((2, 2))),
    ],
)


rng = np.random.Generator(np.random.PCG64(0))


class CustomRNN(layers.Layer):
    def __init__(self):
        super().__init__()
        self.units = 8
        self.projection_1 = layers.Dense(units=8, activation="tanh")
        self.projection_2 = layers.Dense(units=8, activation="tanh")
        self.classifier = layers.Dense(1)

    def call(self, inputs):
        outputs = []
        state = ops.zeros(shape=(inputs.shape[0], self.units))
        for t in range(inputs.shape[1]):
            x = inputs[:, t, :]
            h = self.projection_1(x)
            y = h + self.projection_2(state)
            state = y
            outputs.append(y)
        features = ops.stack(outputs, axis=1)
        return self.classifier(features)


inp = keras.Input(batch_shape=(4, 6, 5))
z = layers.Conv1D(8, 3)(inp)
o = CustomRNN()(z)
cm = fix(keras.Model(inp, o))
show("rnn", cm(np.linspace(0, 1, 120).reshape(4, 6, 5).astype("f")))

# masking
raw_inputs = [[711, 632, 71], [73, 8, 3215, 55, 927], [83, 91, 1, 645, 1253, 927]]
padded = keras.utils.pad_sequences(raw_inputs, padding="post")
show("padded", padded)
show(
    "padded pre",
    keras.utils.pad_sequences(
        raw_inputs, maxlen=4, dtype="float32", truncating="post", value=-1
    ),
)
embedding = fix(layers.Embedding(input_dim=5000, output_dim=4, mask_zero=True))
masked_output = embedding(padded)
show("mask", embedding.compute_mask(padded))
show("mask", masked_output._keras_mask)
masking_layer = layers.Masking()
unmasked = ops.cast(
    ops.tile(ops.expand_dims(padded, axis=-1), [1, 1, 3]), dtype="float32"
)
show("mask", masking_layer(unmasked)._keras_mask)


class TemporalSplit(layers.Layer):
    def call(self, inputs):
        return ops.split(inputs, 2, axis=1)

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        return ops.split(mask, 2, axis=1)


first_half, second_half = TemporalSplit()(masked_output)
show("split", [first_half._keras_mask, second_half._keras_mask])


class TemporalSoftmax(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        assert mask is not None
        broadcast_float_mask = ops.expand_dims(ops.cast(mask, "float32"), -1)
        inputs_exp = ops.exp(inputs) * broadcast_float_mask
        inputs_sum = ops.sum(inputs_exp * broadcast_float_mask, axis=-1, keepdims=True)
        return inputs_exp / inputs_sum


inputs = keras.Input(shape=(6,), dtype="int32")
x = layers.Embedding(input_dim=5000, output_dim=8, mask_zero=True)(inputs)
x = layers.Dense(1)(x)
outputs = TemporalSoftmax()(x)
m = fix(keras.Model(inputs, outputs))
show("tsm", m(padded))

# rnn guide
lstm_layer = fix_l = layers.LSTM(4, stateful=True)
p1 = rng.random((3, 5, 2)).astype("f")
lstm_layer(p1)
fix(lstm_layer)
lstm_layer.reset_state()
show("st", [lstm_layer(p1), lstm_layer(p1)])
lstm_layer.reset_state()
show("st", lstm_layer(p1))


class NestedCell(keras.layers.Layer):
    def __init__(self, unit_1, unit_2, **kwargs):
        self.unit_1, self.unit_2 = unit_1, unit_2
        self.state_size = [unit_1, unit_2]
        self.output_size = unit_2
        super().__init__(**kwargs)

    def build(self, input_shapes):
        self.kernel_1 = self.add_weight(
            shape=(input_shapes[-1], self.unit_1),
            initializer="uniform",
            name="kernel_1",
        )
        self.kernel_2 = self.add_weight(
            shape=(self.unit_1, self.unit_2), initializer="uniform", name="kernel_2"
        )

    def call(self, inputs, states):
        s1, s2 = states
        o1 = ops.tanh(ops.matmul(inputs, self.kernel_1) + s1)
        o2 = ops.tanh(ops.matmul(o1, self.kernel_2) + s2)
        return o2, [o1, o2]

    def get_config(self):
        return {"unit_1": self.unit_1, "unit_2": self.unit_2}


rnn = layers.RNN(NestedCell(3, 4), return_sequences=True, return_state=True)
rnn(p1)
fix(rnn)
show("nested", rnn(p1))

# transfer learning guide
layer = layers.BatchNormalization()
layer.build((None, 4))
show(
    "bn",
    [
        len(layer.weights),
        len(layer.trainable_weights),
        len(layer.non_trainable_weights),
    ],
)
l1, l2 = layers.Dense(3, activation="relu"), layers.Dense(3, activation="sigmoid")
model = keras.Sequential([keras.Input(shape=(3,)), l1, l2])
l1.trainable = False
before = l1.get_weights()
model.compile(optimizer="adam", loss="mse")
model.fit(np.ones((2, 3)), np.ones((2, 3)), verbose=0)
show("same", bool(np.all(before[0] == l1.get_weights()[0])))
inner = keras.Sequential(
    [
        keras.Input(shape=(3,)),
        layers.Dense(3, activation="relu"),
        layers.Dense(3, activation="relu"),
    ]
)
outer = keras.Sequential(
    [keras.Input(shape=(3,)), inner, layers.Dense(3, activation="sigmoid")]
)
outer.trainable = False
show("inner", [inner.trainable, inner.layers[0].trainable])
summary(outer)
