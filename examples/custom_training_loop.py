# SPDX-License-Identifier: Apache-2.0
"""The training loop by hand: a tape, gradients, an optimizer. Eager, step by step."""

from __future__ import annotations

import argparse

import numpy as np

import fastnn as keras


def two_moons(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 2) of two interleaved half circles, and labels (count, 1)."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 2, count)
    angle = draw.uniform(0, np.pi, count)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x[label == 1] = [1, 0.5] - x[label == 1]
    x += draw.normal(0, 0.1, x.shape)
    return x.astype(np.float32), label[:, None].astype(np.float32)


def main(arguments: list[str] | None = None) -> float:
    """Trains and returns the accuracy on fresh points."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args(arguments)

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(32, activation="tanh"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    loss_fn = keras.losses.BinaryCrossentropy()
    optimizer = keras.optimizers.Adam(0.02)
    x, y = two_moons(2000)
    draw = np.random.default_rng(1)

    for step in range(args.steps):
        rows = draw.integers(0, len(x), 64)
        with keras.GradientTape() as tape:
            loss = loss_fn(y[rows], model(x[rows], training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        if step % 100 == 0:
            print(f"step {step}: loss {float(loss.numpy()):.4f}")

    x_new, y_new = two_moons(1000, seed=2)
    accuracy = float(np.mean((model(x_new).numpy() > 0.5) == y_new))
    print(f"accuracy on new points: {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
