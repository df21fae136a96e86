# SPDX-License-Identifier: Apache-2.0
"""Cross-validation in folds on a small table of house prices, as tutorials write it."""

import keras
import numpy as np
from keras import layers
from script_tools import fix, show

rng = np.random.default_rng(5)
train_data = rng.normal([3, 10, 0.5], [1, 6, 0.1], size=(120, 3)).astype("float32")
train_targets = 20 + 4 * train_data[:, 0] - 0.5 * train_data[:, 1]
train_targets = (train_targets + rng.normal(size=120)).astype("float32")
test_data = rng.normal([3, 10, 0.5], [1, 6, 0.1], size=(30, 3)).astype("float32")
test_targets = 20 + 4 * test_data[:, 0] - 0.5 * test_data[:, 1]

mean = train_data.mean(axis=0)
std = train_data.std(axis=0)
train_data = (train_data - mean) / std
test_data = (test_data - mean) / std


def build_model():
    model = keras.Sequential(
        [
            keras.Input(shape=(train_data.shape[1],)),
            layers.Dense(16, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(1),
        ]
    )
    fix(model)
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model


k = 4
num_val_samples = len(train_data) // k
num_epochs = 5
all_scores = []
all_mae_histories = []
for i in range(k):
    val_data = train_data[i * num_val_samples : (i + 1) * num_val_samples]
    val_targets = train_targets[i * num_val_samples : (i + 1) * num_val_samples]
    partial_train_data = np.concatenate(
        [train_data[: i * num_val_samples], train_data[(i + 1) * num_val_samples :]],
        axis=0,
    )
    partial_train_targets = np.concatenate(
        [
            train_targets[: i * num_val_samples],
            train_targets[(i + 1) * num_val_samples :],
        ],
        axis=0,
    )
    model = build_model()
    history = model.fit(
        partial_train_data,
        partial_train_targets,
        validation_data=(val_data, val_targets),
        epochs=num_epochs,
        batch_size=16,
        shuffle=False,
        verbose=0,
    )
    all_mae_histories.append(history.history["val_mae"])
    val_mse, val_mae = model.evaluate(val_data, val_targets, verbose=0)
    all_scores.append(val_mae)
    show(f"fold {i}", (val_mse, val_mae))
average = [np.mean([x[i] for x in all_mae_histories]) for i in range(num_epochs)]
show("mean of the folds", (np.mean(all_scores), average))


def smooth_curve(points, factor=0.9):
    smoothed_points = []
    for point in points:
        if smoothed_points:
            previous = smoothed_points[-1]
            smoothed_points.append(previous * factor + point * (1 - factor))
        else:
            smoothed_points.append(point)
    return smoothed_points


show("smoothed", smooth_curve(average))
model = build_model()
model.fit(train_data, train_targets, epochs=6, batch_size=16, shuffle=False, verbose=0)
test_mse_score, test_mae_score = model.evaluate(test_data, test_targets, verbose=0)
show("test", (test_mse_score, test_mae_score))
keras.backend.clear_session()
