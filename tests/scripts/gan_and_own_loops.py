# SPDX-License-Identifier: Apache-2.0
"""Two networks against each other; loops with tf.GradientTape."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from script_tools import fix, images, regression, show, summary

X, _ = images(60, 8)


class GAN(keras.Model):
    def __init__(self, discriminator, generator, latent_dim):
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.latent_dim = latent_dim
        self.d_loss_metric = keras.metrics.Mean(name="d_loss")
        self.g_loss_metric = keras.metrics.Mean(name="g_loss")

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer = d_optimizer
        self.g_optimizer = g_optimizer
        self.loss_fn = loss_fn

    @property
    def metrics(self):
        return [self.d_loss_metric, self.g_loss_metric]

    def train_step(self, real_images):
        batch_size = tf.shape(real_images)[0]
        random_latent_vectors = tf.ones(shape=(batch_size, self.latent_dim))
        generated_images = self.generator(random_latent_vectors)
        combined_images = tf.concat([generated_images, real_images], axis=0)
        labels = tf.concat(
            [tf.ones((batch_size, 1)), tf.zeros((batch_size, 1))], axis=0
        )
        with tf.GradientTape() as tape:
            predictions = self.discriminator(combined_images)
            d_loss = self.loss_fn(labels, predictions)
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(
            zip(grads, self.discriminator.trainable_weights)
        )
        misleading_labels = tf.zeros((batch_size, 1))
        with tf.GradientTape() as tape:
            predictions = self.discriminator(self.generator(random_latent_vectors))
            g_loss = self.loss_fn(misleading_labels, predictions)
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
        self.d_loss_metric.update_state(d_loss)
        self.g_loss_metric.update_state(g_loss)
        return {
            "d_loss": self.d_loss_metric.result(),
            "g_loss": self.g_loss_metric.result(),
        }


discriminator = keras.Sequential(
    [
        keras.Input(shape=(8, 8, 1)),
        layers.Conv2D(4, kernel_size=4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Flatten(),
        layers.Dropout(0.0),
        layers.Dense(1, activation="sigmoid"),
    ],
    name="discriminator",
)
generator = keras.Sequential(
    [
        keras.Input(shape=(5,)),
        layers.Dense(2 * 2 * 4),
        layers.Reshape((2, 2, 4)),
        layers.Conv2DTranspose(4, kernel_size=4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Conv2DTranspose(4, kernel_size=4, strides=2, padding="same"),
        layers.LeakyReLU(negative_slope=0.2),
        layers.Conv2D(1, kernel_size=5, padding="same", activation="sigmoid"),
    ],
    name="generator",
)
summary(generator)
fix(generator)
fix(discriminator)
gan = GAN(discriminator=discriminator, generator=generator, latent_dim=5)
gan.compile(
    d_optimizer=keras.optimizers.Adam(learning_rate=0.001),
    g_optimizer=keras.optimizers.Adam(learning_rate=0.001),
    loss_fn=keras.losses.BinaryCrossentropy(),
)
show("gan", gan.fit(X, epochs=2, batch_size=20, shuffle=False, verbose=0).history)

# the loop of a book: gan = Sequential([generator, discriminator]), train_on_batch
g2 = keras.models.clone_model(generator)
d2 = keras.models.clone_model(discriminator)
fix(g2)
fix(d2)
both = keras.Sequential([g2, d2])
d2.compile(loss="binary_crossentropy", optimizer="rmsprop")
d2.trainable = False
both.compile(loss="binary_crossentropy", optimizer="rmsprop")
noise = np.ones((20, 5), "f")
fake = g2(noise)
x_fake_and_real = tf.concat([tf.cast(fake, tf.float32), X[:20]], axis=0)
y1 = tf.constant([[0.0]] * 20 + [[1.0]] * 20)
d2.trainable = True
show("d", d2.train_on_batch(x_fake_and_real, y1))
d2.trainable = False
show("g", both.train_on_batch(noise, tf.constant([[1.0]] * 20)))
show(
    "params",
    [len(both.trainable_weights), len(d2.trainable_weights), len(g2.trainable_weights)],
)

# custom loop
model = keras.Sequential(
    [
        keras.Input((8,)),
        layers.Dense(
            30,
            activation="elu",
            kernel_initializer="he_normal",
            kernel_regularizer=keras.regularizers.L2(0.05),
        ),
        layers.BatchNormalization(),
        layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.05)),
    ]
)
fix(model)
X_train, y_train = regression(96)
optimizer = keras.optimizers.Nadam(learning_rate=0.01)
loss_fn = keras.losses.MeanSquaredError()
mean_loss = keras.metrics.Mean(name="mean_loss")
metrics = [keras.metrics.MeanAbsoluteError()]


def print_status_bar(step, total, loss, metrics=None):
    metrics = " - ".join(
        [f"{m.name}: {m.result():.4f}" for m in [loss] + (metrics or [])]
    )
    end = "" if step < total else "\n"
    print(f"\r{step}/{total} - " + metrics, end=end)


for epoch in range(1, 3):
    print("Epoch {}/{}".format(epoch, 2))
    for step in range(1, 4):
        X_batch, y_batch = (
            X_train[(step - 1) * 32 : step * 32],
            y_train[(step - 1) * 32 : step * 32],
        )
        with tf.GradientTape() as tape:
            y_pred = model(X_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss] + model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        for variable in model.variables:
            if getattr(variable, "constraint", None) is not None:
                variable.assign(variable.constraint(variable))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)
        print_status_bar(step, 3, mean_loss, metrics)
    for metric in [mean_loss] + metrics:
        metric.reset_state()
show("bn", [model.layers[1].moving_mean, model.layers[1].moving_variance])
show("it", int(optimizer.iterations))


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        logits = model(x, training=True)
        loss_value = loss_fn(y, logits)
        loss_value += sum(model.losses)
    grads = tape.gradient(loss_value, model.trainable_weights)
    optimizer.apply(grads, model.trainable_weights)
    metrics[0].update_state(y, logits)
    return loss_value


for _ in range(3):
    show(
        "step", float(train_step(tf.constant(X_train[:32]), tf.constant(y_train[:32])))
    )
show("mae", float(metrics[0].result()))

# saliency, gradient ascent
cnn = fix(
    keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, name="c"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
)
extractor = keras.Model(inputs=cnn.inputs, outputs=cnn.get_layer("c").output)
img = tf.Variable(X[:1])
for _ in range(2):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(extractor(img)[:, 1:-1, 1:-1, 1])
    g = tape.gradient(loss, img)
    g = tf.math.l2_normalize(g)
    img.assign_add(10.0 * g)
show("ascent", img)
with tf.GradientTape() as tape:
    x = tf.convert_to_tensor(X[:1])
    tape.watch(x)
    out = cnn(x)[:, 0]
show("saliency", tape.gradient(out, x))
