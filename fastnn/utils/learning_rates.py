# SPDX-License-Identifier: Apache-2.0
"""Which learning rate to choose: a short training with rates that grow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.utils.plots import pyplot

_SMOOTHING = 0.9  # of the losses: one batch says little


class LearningRates:
    """What `find_learning_rate` saw.

    Attributes:
        rates: float64 (steps,), the learning rates that were tried.
        losses: float64 (steps,), the loss of each batch before its update.
        diverged: the first rate whose smoothed loss was `stop_factor` times the
            smallest, or not finite; None when none was.
    """

    def __init__(
        self, rates: list[float], losses: list[float], diverged: float | None
    ) -> None:
        self.rates = np.array(rates)
        self.losses = np.array(losses)
        self.diverged = diverged

    @property
    def smoothed(self) -> np.ndarray:
        """Running means of the losses, without bias towards the first."""
        out, mean = [], 0.0
        for i, loss in enumerate(self.losses):
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
            out.append(mean / (1 - _SMOOTHING ** (i + 1)))
        return np.array(out)

    @property
    def best(self) -> float:
        """A tenth of the rate with the smallest smoothed loss: a good constant rate."""
        smoothed = self.smoothed
        finite = np.where(np.isfinite(smoothed), smoothed, np.inf)
        return float(self.rates[int(finite.argmin())]) / 10

    def plot(self, ax: Any = None) -> Any:
        """Loss by learning rate; returns the figure of matplotlib."""
        plt = pyplot("find_learning_rate")
        if ax is None:
            _, ax = plt.subplots(figsize=(6, 4), layout="tight")
        ax.plot(self.rates, self.losses, alpha=0.3, label="batches")
        ax.plot(self.rates, self.smoothed, label="smoothed")
        ax.axvline(self.best, color="gray", ls="--", label=f"best: {self.best:.2g}")
        finite = self.smoothed[np.isfinite(self.smoothed)]
        if finite.size:
            low, first = finite.min(), finite[0]
            ax.set_ylim(
                low - 0.1 * abs(first - low), first + 0.5 * abs(first - low) + 1e-9
            )
        ax.set_xscale("log")
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.legend()
        return ax.figure


def find_learning_rate(
    model: Any,
    x: Any,
    y: Any,
    batch_size: int = 32,
    min_rate: float = 1e-6,
    max_rate: float = 10.0,
    steps: int = 200,
    stop_factor: float = 4.0,
    seed: int = 0,
) -> LearningRates:
    """Trains for a while with a rate that grows step by step, then undoes it all.

    Weights, optimizer and metrics are afterwards as they were (L. Smith, "Cyclical
    learning rates for training neural networks", 2017).

    Args:
        model: compiled, with a number as learning rate.
        x, y: arrays, or structures of them.
        batch_size: rows per step.
        min_rate, max_rate: first and last rate; between them it grows evenly, in logs.
        steps: how many rates are tried.
        stop_factor: stop at a smoothed loss as many times the smallest.
        seed: of the order of the rows.

    Returns:
        What happened: `.best`, `.plot()`, `.rates`, `.losses`.

    Raises:
        ValueError: for rates that do not grow, or an optimizer with a schedule.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(), "mse")
        >>> x = np.linspace(-1, 1, 64)[:, None]
        >>> found = keras.utils.find_learning_rate(model, x, 3 * x)
        >>> 0.01 < found.best < 1  # found.plot() shows the losses
        True
    """
    _check(model, min_rate, max_rate, steps)
    optimizer = model.optimizer
    data = tree.map_structure(np.asarray, (x, y))
    rows = np.random.default_rng(seed).permutation(len(tree.flatten(data)[0]))

    def take(places: np.ndarray) -> Any:
        return tree.map_structure(lambda a: a[places], data)

    first = take(rows[:1])
    model.test_on_batch(*first)  # builds what is not built
    model._build_optimizer()
    variables = [*model.variables, *optimizer.variables, *_metric_variables(model)]
    before = [np.array(v.numpy()) for v in variables]
    try:
        return _try_rates(
            model, take, rows, batch_size, min_rate, max_rate, steps, stop_factor
        )
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _check(model: Any, min_rate: float, max_rate: float, steps: int) -> None:
    model._require_compiled("find_learning_rate")
    if not 0 < min_rate < max_rate or steps < 2:
        raise ValueError(
            "[find_learning_rate] needs 0 < min_rate < max_rate and 2 steps or more, "
            f"received {min_rate!r}, {max_rate!r}, {steps!r}."
        )
    if callable(model.optimizer._learning_rate):
        raise ValueError(
            "[find_learning_rate] the optimizer has a schedule; compile the model with "
            "a number as learning_rate to look for one."
        )


def _metric_variables(model: Any) -> list[Any]:
    return [v for metric in model.metrics for v in metric.variables]


def _try_rates(
    model: Any,
    take: Any,
    rows: np.ndarray,
    batch_size: int,
    min_rate: float,
    max_rate: float,
    steps: int,
    stop_factor: float,
) -> LearningRates:
    factor = (max_rate / min_rate) ** (1 / (steps - 1))
    rates: list[float] = []
    losses: list[float] = []
    smallest = math.inf
    for step in range(steps):
        places = np.take(
            rows, np.arange(step * batch_size, (step + 1) * batch_size), mode="wrap"
        )
        model.optimizer.learning_rate = min_rate * factor**step
        model.reset_metrics()
        logs = model.train_on_batch(*take(places), return_dict=True)
        rates.append(min_rate * factor**step)
        losses.append(float(logs["loss"]))
        found = LearningRates(rates, losses, rates[-1])
        last = found.smoothed[-1]
        if not math.isfinite(last) or last > stop_factor * smallest > 0:
            return found
        smallest = min(smallest, last)
    return LearningRates(rates, losses, None)


__all__ = ["find_learning_rate"]
