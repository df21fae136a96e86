# SPDX-License-Identifier: Apache-2.0
"""Callbacks: order of hooks, schedules, checkpoints, early stopping."""

import os

import keras
from keras import layers
from script_tools import fix, regression, show

X, Y = regression(80)


def make(opt="sgd"):
    m = keras.Sequential(
        [keras.Input((8,)), layers.Dense(6, activation="tanh"), layers.Dense(1)]
    )
    m.compile(opt, "mse", metrics=["mae"])
    return fix(m)


class Log(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def note(self, name, *a):
        self.calls.append((name, *[sorted(v) if isinstance(v, dict) else v for v in a]))

    def on_train_begin(self, logs=None):
        self.note("train_begin", logs)

    def on_train_end(self, logs=None):
        self.note("train_end", logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.note("epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self.note("tbb", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.note("tb_end", batch, logs)

    def on_test_begin(self, logs=None):
        self.note("test_begin", logs)

    def on_test_end(self, logs=None):
        self.note("test_end", logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.note("testbb", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.note("testbe", batch, logs)

    def on_predict_begin(self, logs=None):
        self.note("predict_begin", logs)

    def on_predict_end(self, logs=None):
        self.note("predict_end", logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self.note("pbb", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self.note("pbe", batch, logs)


log = Log()
m = make()
m.fit(
    X,
    Y,
    epochs=2,
    batch_size=40,
    verbose=0,
    callbacks=[log],
    validation_data=(X[:30], Y[:30]),
    shuffle=False,
)
m.evaluate(X, Y, batch_size=40, verbose=0, callbacks=[log])
m.predict(X, batch_size=40, verbose=0, callbacks=[log])
for c in log.calls:
    print(c)
show("params", log.params)

h = make().fit(
    X,
    Y,
    epochs=6,
    batch_size=20,
    verbose=0,
    shuffle=False,
    callbacks=[keras.callbacks.LearningRateScheduler(lambda e: 0.1 / (e + 1))],
)
show("lrs", h.history)
h = make().fit(
    X,
    Y,
    epochs=4,
    batch_size=20,
    verbose=0,
    shuffle=False,
    callbacks=[
        keras.callbacks.LearningRateScheduler(lambda e, lr: lr * 0.5, verbose=1)
    ],
)
show("lrs2", h.history)
h = make().fit(
    X,
    Y,
    epochs=8,
    batch_size=20,
    verbose=0,
    shuffle=False,
    validation_split=0.2,
    callbacks=[
        keras.callbacks.ReduceLROnPlateau(
            factor=0.5, patience=1, min_delta=0.5, verbose=1
        )
    ],
)
show("plateau", h.history)
es = keras.callbacks.EarlyStopping(
    patience=1, min_delta=0.3, restore_best_weights=True, verbose=1
)
h = make().fit(
    X,
    Y,
    epochs=20,
    batch_size=20,
    verbose=0,
    shuffle=False,
    validation_split=0.2,
    callbacks=[es],
)
show("es", [h.epoch, es.stopped_epoch, es.best_epoch, es.best, es.wait])
os.makedirs("ck", exist_ok=True)
h = make().fit(
    X,
    Y,
    epochs=3,
    batch_size=20,
    verbose=0,
    shuffle=False,
    validation_split=0.2,
    callbacks=[
        keras.callbacks.ModelCheckpoint("ck/model.{epoch:02d}-{val_loss:.2f}.keras"),
        keras.callbacks.ModelCheckpoint(
            "ck/best.keras", save_best_only=True, monitor="val_loss", verbose=1
        ),
        keras.callbacks.ModelCheckpoint("ck/w.weights.h5", save_weights_only=True),
        keras.callbacks.CSVLogger("ck/log.csv"),
        keras.callbacks.TerminateOnNaN(),
    ],
)
show("files", sorted(os.listdir("ck")))
print(open("ck/log.csv").readline().strip())
m2 = keras.models.load_model("ck/best.keras")
show("loaded", m2.evaluate(X, Y, verbose=0))
h = m2.fit(X, Y, epochs=1, batch_size=20, verbose=0, shuffle=False)
show("go on", h.history)
batch_losses = []
cb = keras.callbacks.LambdaCallback(
    on_train_batch_end=lambda b, logs: batch_losses.append(logs["loss"]),
    on_epoch_end=lambda e, logs: print("epoch", e, sorted(logs)),
)
make().fit(X, Y, epochs=1, batch_size=20, verbose=0, shuffle=False, callbacks=[cb])
show("batch losses", batch_losses)


class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs.get("loss") < 100:
            print("stopping")
            self.model.stop_training = True


h = make().fit(X, Y, epochs=5, verbose=0, callbacks=[Stop()])
show("stopped", h.epoch)


class Ratio(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs):
        print("\nval/train: {:.2f}".format(logs["val_loss"] / logs["loss"]))


make().fit(
    X,
    Y,
    epochs=1,
    batch_size=20,
    verbose=0,
    shuffle=False,
    validation_data=(X, Y),
    callbacks=[Ratio()],
)
s = keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5, staircase=True)
m = make(keras.optimizers.SGD(s, momentum=0.9, nesterov=True))
h = m.fit(X, Y, epochs=3, batch_size=20, verbose=0, shuffle=False)
show("schedule", h.history)
show("schedule lr", float(m.optimizer.learning_rate))
h = m.fit(
    X,
    Y,
    epochs=3,
    batch_size=20,
    verbose=0,
    shuffle=False,
    callbacks=[keras.callbacks.BackupAndRestore("bk")],
)
