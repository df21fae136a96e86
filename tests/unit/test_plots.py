# SPDX-License-Identifier: Apache-2.0
"""Learning curves, confusion matrices, learning rates: what the plots show."""

from __future__ import annotations

import builtins
import math

import numpy as np
import pytest

from fastnn import Input, Sequential, layers, optimizers
from fastnn.callbacks import History
from fastnn.errors import ShapeError
from fastnn.utils import (
    find_learning_rate,
    plot_confusion_matrix,
    plot_history,
    set_random_seed,
)
from fastnn.utils.plots import confusion_matrix

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("agg")

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 3.0], "float32"))[:, None]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def model(rate=0.01):
    made = Sequential([Input((4,)), layers.Dense(8, "relu"), layers.Dense(1)])
    made.compile(optimizers.SGD(rate, momentum=0.9), "mse", metrics=["mae"])
    return made


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


@pytest.mark.feature("1B-12")
def test_the_training_curve_is_half_an_epoch_earlier() -> None:
    history = model().fit(X, Y, epochs=3, validation_split=0.5, verbose=0)
    figure = history.plot()
    assert [axes.get_lines()[0].get_label() for axes in figure.axes] == ["loss", "mae"]
    drawn = lines(figure.axes[0])
    values = history.history
    assert drawn["loss"] == [[k + 0.5, v] for k, v in enumerate(values["loss"])]
    assert drawn["val_loss"] == [[k + 1, v] for k, v in enumerate(values["val_loss"])]


def test_plots_of_dicts_of_chosen_names_and_in_given_axes() -> None:
    curves = {"loss": [2.0, 1.0], "val_loss": [3.0], "lr": [1.0, 0.1]}
    assert len(plot_history(curves).axes) == 2
    assert list(lines(plot_history(curves, ["lr"]).axes[0])) == ["lr"]
    (both,) = plot_history(curves, "val_loss").axes
    assert list(lines(both)) == ["loss", "val_loss"]
    figure, axes = plt.subplots()
    assert plot_history(curves, ax=axes) is figure
    assert set(lines(axes)) == {"loss", "val_loss", "lr"}
    history = History()
    history.epoch, history.history = [7, 8], {"loss": [2.0, 1.0]}
    assert lines(history.plot().axes[0])["loss"] == [[7.5, 2.0], [8.5, 1.0]]


def test_mistakes_of_plots() -> None:
    with pytest.raises(ValueError, match="no 'acc', only loss"):
        plot_history({"loss": [1.0]}, ["acc"])
    with pytest.raises(ValueError, match="history is empty"):
        plot_history({})
    with pytest.raises(ShapeError, match="3 labels and 2"):
        plot_confusion_matrix([0, 1, 1], [0, 1])
    with pytest.raises(ShapeError, match="y_pred must have shape"):
        plot_confusion_matrix([0, 1], np.zeros((2, 2, 2)))


def test_without_matplotlib_the_extra_is_named(monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"fastnn-dl\[plot\]"):
        plot_history({"loss": [1.0]})


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ([0, 2, 1, 2], [0, 1, 1, 2]),
        ([[0], [2], [1], [2]], np.eye(3)[[0, 1, 1, 2]] * 0.8),
        (np.eye(3)[[0, 2, 1, 2]], np.array([[0.0], [1.0], [1.0], [2.0]])),
    ],
)
def test_confusion_matrix(true, predicted) -> None:
    wanted = [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert confusion_matrix(true, predicted).tolist() == wanted
    figure = plot_confusion_matrix(true, predicted, ["a", "b", "cat"], normalize=True)
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b", "cat"]
    texts = [t.get_text() for t in axes.texts]
    assert texts == [
        "1.00",
        "0.00",
        "0.00",
        "0.00",
        "1.00",
        "0.00",
        "0.00",
        "0.50",
        "0.50",
    ]


def test_probabilities_of_one_output_are_classes_at_a_half() -> None:
    found = confusion_matrix([0, 1, 1], np.array([[0.2], [0.7], [0.4]]))
    assert found.tolist() == [[1, 0], [1, 1]]


# ---- learning rates ------------------------------------------------------------------


def test_the_finder_leaves_everything_as_it_was() -> None:
    one, two = model(), model()
    two.set_weights(one.get_weights())
    for m in (one, two):
        m.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    found = find_learning_rate(one, X, Y, batch_size=16, steps=60)
    assert found.diverged is not None and 1e-5 < found.best < found.diverged
    np.testing.assert_allclose(found.rates[1:] / found.rates[:-1], 1e7 ** (1 / 59))
    histories = [m.fit(X, Y, epochs=2, verbose=0, shuffle=False) for m in (one, two)]
    assert histories[0].history == histories[1].history
    axes = found.plot().axes[0]
    assert axes.get_xscale() == "log"
    assert lines(axes)["batches"] == np.stack([found.rates, found.losses], 1).tolist()


def test_smoothed_losses_are_without_bias() -> None:
    found = find_learning_rate(model(), X, Y, steps=5, max_rate=1e-5)
    assert found.diverged is None and len(found.losses) == 5
    weights = 0.9 ** np.arange(5)[::-1]
    mean = (weights * found.losses).sum() / weights.sum()
    np.testing.assert_allclose(found.smoothed[-1], mean)


def test_mistakes_of_the_finder() -> None:
    with pytest.raises(ValueError, match="0 < min_rate < max_rate"):
        find_learning_rate(model(), X, Y, min_rate=1.0, max_rate=0.1)
    with pytest.raises(ValueError, match="has a schedule"):
        find_learning_rate(model(optimizers.schedules.CosineDecay(0.1, 10)), X, Y)
    with pytest.raises(RuntimeError, match="call `compile` before"):
        find_learning_rate(Sequential([Input((4,)), layers.Dense(1)]), X, Y)


@pytest.mark.feature("1C-36")
def test_one_cycle_in_fit() -> None:
    set_random_seed(0)
    schedule = optimizers.schedules.OneCycle(0.02, 40)
    trained = model(schedule)
    history = trained.fit(X, Y, 16, 10, verbose=0).history["loss"]
    assert history[-1] < 0.3 * history[0]
    rate = float(trained.optimizer.learning_rate)
    assert math.isclose(rate, schedule.last_learning_rate, rel_tol=1e-5)


def test_one_cycle_needs_steps_for_the_cycle() -> None:
    with pytest.raises(ValueError, match="no steps for the cycle"):
        optimizers.schedules.OneCycle(0.1, 10, last_steps=9)
    with pytest.raises(ValueError, match="max_learning_rate must be > 0"):
        optimizers.schedules.OneCycle(0.0, 10)


def test_the_words_around_a_plot_of_learning_rates_are_whole() -> None:
    model = Sequential([Input((2,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).normal(size=(64, 2))
    figure = find_learning_rate(model, x, x[:, :1], steps=20).plot()
    figure.canvas.draw()
    [ax] = figure.axes
    for axis in (ax.xaxis, ax.yaxis):
        extent = axis.label.get_window_extent()
        assert extent.x0 >= 0 and extent.y0 >= 0
    plt.close(figure)
