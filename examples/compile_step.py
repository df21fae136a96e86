# SPDX-License-Identifier: Apache-2.0
"""One training step as one native plan: `fastnn.function` around plain Python.

The first call runs the function under a tracer and plans it; later calls run the plan
without Python. The script times both and shows that they compute the same.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import fastnn as keras
from fastnn import ops

RATE = 0.1


def make_step(w, b):
    """A step of logistic regression by gradient descent on the variables w and b."""

    def step(x, y):
        with keras.GradientTape() as tape:
            loss = ops.mean(ops.square(ops.sigmoid(ops.matmul(x, w) + b) - y))
        dw, db = tape.gradient(loss, [w, b])
        w.assign_sub(RATE * dw)
        b.assign_sub(RATE * db)
        return loss

    return step


def run(step, x, y, steps: int) -> tuple[float, float]:
    """Last loss, and microseconds per step after the first."""
    loss = step(x, y)
    start = time.perf_counter()
    for _ in range(steps):
        loss = step(x, y)
    return float(loss.numpy()), (time.perf_counter() - start) / steps * 1e6


def main(arguments: list[str] | None = None) -> tuple[float, float]:
    """Runs the step eagerly and planned; returns both last losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args(arguments)

    draw = np.random.default_rng(0)
    x = draw.normal(size=(32, 10)).astype(np.float32)
    y = (x.sum(axis=1, keepdims=True) > 0).astype(np.float32)
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    start = np.zeros((10, 1), np.float32)

    losses = []
    for name, wrap in (("eager", lambda step: step), ("planned", keras.function)):
        w, b = keras.Variable(start), keras.Variable(np.zeros(1, np.float32))
        loss, microseconds = run(wrap(make_step(w, b)), x, y, args.steps)
        print(f"{name:>8}: {microseconds:8.1f} us per step, last loss {loss:.6f}")
        losses.append(loss)
    return losses[0], losses[1]


if __name__ == "__main__":
    main()
