# SPDX-License-Identifier: Apache-2.0
"""Autoencoders: stacked, tied, convolutional, variational, sparse."""

import keras
from keras import layers, ops
from script_tools import fix, images, show, summary

X, _ = images(60, 12)
stacked_encoder = keras.Sequential(
    [
        layers.Flatten(),
        layers.Dense(20, activation="relu"),
        layers.Dense(6, activation="relu"),
    ]
)
stacked_decoder = keras.Sequential(
    [
        layers.Dense(20, activation="relu"),
        layers.Dense(12 * 12),
        layers.Reshape([12, 12]),
    ]
)
stacked_ae = keras.Sequential([stacked_encoder, stacked_decoder])
stacked_ae.compile(loss="mse", optimizer="adam")
stacked_ae.build((None, 12, 12))
fix(stacked_ae)
show(
    "history",
    stacked_ae.fit(
        X[..., 0],
        X[..., 0],
        epochs=2,
        batch_size=20,
        shuffle=False,
        validation_data=(X[:20, ..., 0], X[:20, ..., 0]),
        verbose=0,
    ).history,
)
show("codings", stacked_encoder.predict(X[..., 0], verbose=0))
summary(stacked_ae)


class DenseTranspose(layers.Layer):
    def __init__(self, dense, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.dense = dense
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.biases = self.add_weight(
            name="bias",
            shape=self.dense.input_shape[-1:]
            if hasattr(self.dense, "input_shape")
            else (self.dense.kernel.shape[0],),
            initializer="zeros",
        )
        super().build(batch_input_shape)

    def call(self, inputs):
        Z = ops.matmul(inputs, ops.transpose(self.dense.kernel))
        return self.activation(Z + self.biases)


dense_1 = layers.Dense(10, activation="relu")
dense_2 = layers.Dense(4, activation="relu")
enc = keras.Sequential([keras.Input((12, 12)), layers.Flatten(), dense_1, dense_2])
dec = keras.Sequential(
    [
        DenseTranspose(dense_2, activation="relu"),
        DenseTranspose(dense_1),
        layers.Reshape([12, 12]),
    ]
)
tied = keras.Sequential([enc, dec])
tied.build((None, 12, 12))
fix(tied)
tied.compile(loss="mse", optimizer="adam")
show(
    "tied",
    tied.fit(
        X[..., 0], X[..., 0], epochs=2, batch_size=20, shuffle=False, verbose=0
    ).history,
)
show("count", [len(tied.weights), tied.count_params()])

conv_encoder = keras.Sequential(
    [
        keras.Input((12, 12, 1)),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPool2D(pool_size=2),
        layers.Conv2D(6, 3, padding="same", activation="relu"),
        layers.MaxPool2D(pool_size=2),
        layers.GlobalAvgPool2D(),
    ]
)
conv_decoder = keras.Sequential(
    [
        layers.Dense(3 * 3 * 4),
        layers.Reshape((3, 3, 4)),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
    ]
)
conv_ae = keras.Sequential([conv_encoder, conv_decoder])
conv_ae.build((None, 12, 12, 1))
fix(conv_ae)
conv_ae.compile(loss="binary_crossentropy", optimizer="adam", metrics=["mse"])
show(
    "conv",
    conv_ae.fit(
        X / 2, X / 2, epochs=2, batch_size=20, shuffle=False, verbose=0
    ).history,
)


class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon * 0.0


codings_size = 3
inputs = layers.Input(shape=[12, 12])
Z = layers.Flatten()(inputs)
Z = layers.Dense(15, activation="relu")(Z)
codings_mean = layers.Dense(codings_size)(Z)
codings_log_var = layers.Dense(codings_size)(Z)
codings = Sampling()([codings_mean, codings_log_var])
variational_encoder = keras.Model(
    inputs=[inputs], outputs=[codings_mean, codings_log_var, codings], name="enc"
)
decoder_inputs = layers.Input(shape=[codings_size])
x = layers.Dense(15, activation="relu")(decoder_inputs)
x = layers.Dense(12 * 12)(x)
outputs = layers.Reshape([12, 12])(x)
variational_decoder = keras.Model(inputs=[decoder_inputs], outputs=[outputs])


class VAE(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder

    def call(self, inputs):
        mean, log_var, codings = self.encoder(inputs)
        latent_loss = -0.5 * ops.sum(
            1 + log_var - ops.exp(log_var) - ops.square(mean), axis=-1
        )
        self.add_loss(ops.mean(latent_loss) / 144.0)
        return self.decoder(codings)


vae = VAE(variational_encoder, variational_decoder)
vae(X[:2, ..., 0])
fix(vae)
vae.compile(loss="mse", optimizer="adam")
show(
    "vae",
    vae.fit(
        X[..., 0], X[..., 0], epochs=2, batch_size=20, shuffle=False, verbose=0
    ).history,
)
show("vae eval", vae.evaluate(X[..., 0], X[..., 0], verbose=0))
show("encoder out", [o.shape for o in variational_encoder.outputs])
summary(variational_encoder)


class KLDivergenceRegularizer(keras.regularizers.Regularizer):
    def __init__(self, weight, target):
        self.weight = weight
        self.target = target

    def __call__(self, inputs):
        mean_activities = ops.mean(inputs, axis=0)
        t, m = self.target, mean_activities
        return self.weight * (
            ops.sum(t * ops.log(t / m)) + ops.sum((1 - t) * ops.log((1 - t) / (1 - m)))
        )


sparse = keras.Sequential(
    [
        keras.Input((12, 12)),
        layers.Flatten(),
        layers.Dense(
            8,
            activation="sigmoid",
            activity_regularizer=KLDivergenceRegularizer(0.05, 0.1),
        ),
        layers.ActivityRegularization(l1=1e-3),
        layers.Dense(144),
        layers.Reshape((12, 12)),
    ]
)
fix(sparse)
sparse.compile(loss="mse", optimizer="adam")
show(
    "sparse",
    sparse.fit(
        X[..., 0], X[..., 0], epochs=2, batch_size=20, shuffle=False, verbose=0
    ).history,
)
show("sparse eval", sparse.evaluate(X[..., 0], X[..., 0], verbose=0))
