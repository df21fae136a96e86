# SPDX-License-Identifier: Apache-2.0
"""A network of two dense layers on images of one channel."""

import keras
from keras import layers
from script_tools import fix, images, show, summary

x, y = images(120, 14)
x = x.reshape(120, -1)
x_train, y_train, x_test, y_test = x[:90], y[:90], x[90:], y[90:]
y_train = keras.utils.to_categorical(y_train, 3)
y_test = keras.utils.to_categorical(y_test, 3)
show("onehot", y_train[:2].astype("float32"))
network = keras.models.Sequential()
network.add(layers.Dense(32, activation="relu", input_shape=(14 * 14,)))
network.add(layers.Dense(3, activation="softmax"))
network.compile(
    optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"]
)
fix(network)
summary(network)
history = network.fit(
    x_train, y_train, epochs=3, batch_size=32, shuffle=False, verbose=0
)
show("history", history.history)
show("params", history.params)
show("epoch", history.epoch)
show("evaluate", network.evaluate(x_test, y_test, verbose=0))
show("evaluate dict", network.evaluate(x_test, y_test, verbose=0, return_dict=True))
p = network.predict(x_test, verbose=0)
show("predict", p)
show("argmax", p.argmax(axis=-1))
show(
    "layers",
    [
        (l.name, type(l).__name__, l.built, l.trainable, l.count_params())
        for l in network.layers
    ],
)
show(
    "weights", [(w.name, w.path, tuple(w.shape), str(w.dtype)) for w in network.weights]
)
show(
    "in/out",
    [
        network.input_shape,
        network.output_shape,
        network.inputs[0].shape,
        network.outputs[0].shape,
    ],
)
show("train_on_batch", network.train_on_batch(x_train[:32], y_train[:32]))
show(
    "train_on_batch dict",
    network.train_on_batch(x_train[:32], y_train[:32], return_dict=True),
)
show("test_on_batch", network.test_on_batch(x_test, y_test))
show("predict_on_batch", network.predict_on_batch(x_test[:2]))
show(
    "optimizer",
    {k: v for k, v in network.optimizer.get_config().items() if k != "name"},
)
show("lr", float(network.optimizer.learning_rate))
network.optimizer.learning_rate = 0.5
show("lr2", float(network.optimizer.learning_rate.numpy()))
show("count", network.count_params())
