# SPDX-License-Identifier: Apache-2.0
"""A deep network on MNIST, past 98 %: early stopping, checkpoints, TensorBoard.

    python examples/mnist_deep.py [--data mnist folder] [--output out/deep]

The best epoch's weights come back and are also on disk; TensorBoard draws the curves
of the folder `logs`. (Exercise 10.10 of A. Géron's book.)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fastnn as keras


def main(arguments: list[str] | None = None) -> float:
    """Trains, reads the checkpoint again and returns its accuracy on the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST; see load_data")
    parser.add_argument("--output", type=Path, default=Path("out/deep"))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--units", type=int, default=300)
    args = parser.parse_args(arguments)
    best = args.output / "best.keras"

    keras.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data(args.data)
    x, x_test = (a.astype("float32") / 255 for a in (x, x_test))
    held = len(x) // 12  # 5,000 of MNIST's 60,000

    model = network(x.shape[1:], args.units)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Nadam(1e-3), loss, metrics=["accuracy"])
    callbacks = [
        keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=3),
        keras.callbacks.ModelCheckpoint(best, save_best_only=True),
        keras.callbacks.TensorBoard(args.output / "logs"),
    ]
    history = model.fit(
        x[held:],
        y[held:],
        batch_size=128,
        epochs=args.epochs,
        validation_data=(x[:held], y[:held]),
        callbacks=callbacks,
        verbose=2,
    )
    print(f"ended after {len(history.epoch)} of {args.epochs} epochs")

    again = keras.models.load_model(best)
    loss, accuracy = again.evaluate(x_test, y_test, verbose=0)
    print(f"test accuracy of the best epoch: {accuracy:.4f} (loss {loss:.4f})")
    print(f"curves: tensorboard --logdir {args.output / 'logs'}")
    return accuracy


def network(shape: tuple[int, ...], units: int):
    """Three hidden layers; a fifth of what goes in is dropped."""
    model = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    for _ in range(3):
        model.add(keras.layers.Dropout(0.2))
        model.add(keras.layers.Dense(units, activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


if __name__ == "__main__":
    main()
