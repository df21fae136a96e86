# SPDX-License-Identifier: Apache-2.0
"""Batches that are made while the model trains: the same results as plain arrays."""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any

import numpy as np
import pytest

from fastnn import Input, Model, Sequential, layers
from fastnn.callbacks import LambdaCallback
from fastnn.utils import PyDataset, set_random_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 6)).astype("f")
Y = RNG.integers(0, 3, 50)
BATCH = 16
STEPS = 4  # the last batch has 2 rows


def make() -> Sequential:
    set_random_seed(0)
    model = Sequential(
        [layers.Input((6,)), layers.Dense(8, "relu"), layers.Dense(3, "softmax")]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def batch(i: int) -> tuple[np.ndarray, np.ndarray]:
    rows = slice(BATCH * i, BATCH * i + BATCH)
    return X[rows], Y[rows]


class Batches(PyDataset):
    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        return batch(index)


class Endless(PyDataset):
    num_batches = None

    def __getitem__(self, index: int) -> Any:
        return batch(index % STEPS)


class Old:
    """A sequence of before PyDataset."""

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        return batch(index)


class Iterable:
    def __iter__(self) -> Any:
        return (batch(i) for i in range(STEPS))


def generator() -> Any:
    while True:
        yield from Iterable()


SOURCES = {
    "in the training thread": (lambda: Batches(workers=0), {}),
    "one thread": (Batches, {}),
    "threads": (lambda: Batches(workers=3, max_queue_size=2), {}),
    "processes": (lambda: Batches(workers=2, use_multiprocessing=True), {}),
    "endless": (lambda: Endless(workers=2), {"steps_per_epoch": STEPS}),
    "old sequence": (Old, {}),
    "iterable": (Iterable, {}),
    "generator": (generator, {"steps_per_epoch": STEPS}),
}


def workers_alive() -> int:
    return sum(t.name.startswith("fastnn-data") for t in threading.enumerate())


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_trains_like_the_arrays(name: str) -> None:
    source, options = SOURCES[name]
    plain, streamed = make(), make()
    expected = plain.fit(X, Y, BATCH, epochs=3, shuffle=False, verbose=0).history
    found = streamed.fit(
        source(), epochs=3, shuffle=False, verbose=0, **options
    ).history
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=1e-6)
    for a, b in zip(plain.get_weights(), streamed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert workers_alive() == 0
    steps = {"steps": STEPS} if options else {}
    np.testing.assert_allclose(
        streamed.evaluate(source(), verbose=0, **steps),
        plain.evaluate(X, Y, BATCH, verbose=0),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        streamed.predict(source(), verbose=0, **steps),
        plain.predict(X, BATCH, verbose=0),
        rtol=1e-6,
    )
    assert workers_alive() == 0


def test_batches_are_made_ahead_but_not_too_far_ahead() -> None:
    made: list[int] = []
    ahead: list[int] = []

    class Recording(PyDataset):
        def __len__(self) -> int:
            return 30

        def __getitem__(self, index: int) -> Any:
            made.append(index)
            return batch(index % STEPS)

    def after(number: int, logs: Any) -> None:
        time.sleep(0.005)
        ahead.append(len(made) - number)

    callback = LambdaCallback(on_train_batch_end=after)
    source = Recording(workers=1, max_queue_size=4)
    make().fit(source, verbose=0, callbacks=[callback])
    assert sorted(made) == sorted([0, *range(30)])  # the first is also looked at
    assert max(ahead) >= 3, "nothing was made ahead"
    assert max(ahead) <= 4 + 3, "the queue has no end"


def test_the_generator_runs_in_the_thread_that_trains() -> None:
    threads = set()

    def own() -> Any:
        for i in range(STEPS):
            threads.add(threading.get_ident())
            yield batch(i)

    make().fit(own(), verbose=0)
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_exceptions_arrive_with_their_traceback(workers: int) -> None:
    class Broken(Batches):
        def __getitem__(self, index: int) -> Any:
            if index == 2:
                raise RuntimeError("file 2 is damaged")
            return super().__getitem__(index)

    model = make()
    with pytest.raises(RuntimeError, match="file 2 is damaged") as caught:
        model.fit(Broken(workers=workers), verbose=0)
    frames = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert frames[-1] == "__getitem__"
    assert int(model.optimizer.iterations) == 2, "batches before it were trained on"
    deadline = time.perf_counter() + 5
    while workers_alive() and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert workers_alive() == 0
    assert len(model.fit(Batches(), verbose=0).history["loss"]) == 1


def test_workers_end_when_training_stops_early() -> None:
    model = make()

    def stop(number: int, logs: Any) -> None:
        model.stop_training = True

    callback = LambdaCallback(on_train_batch_end=stop)
    model.fit(Endless(workers=2), steps_per_epoch=9, verbose=0, callbacks=[callback])
    assert int(model.optimizer.iterations) == 1 and workers_alive() == 0


def test_epoch_hooks_are_called_around_each_pass() -> None:
    calls: list[str] = []

    class Hooked(Batches):
        def on_epoch_begin(self) -> None:
            calls.append("begin")

        def on_epoch_end(self) -> None:
            calls.append("end")

    make().fit(Hooked(), epochs=2, verbose=0)
    assert calls == ["begin", "end"] * 2


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("steps", [2, STEPS, STEPS + 1])
def test_epoch_hooks_are_called_around_epochs_of_any_number_of_steps(
    steps: int, workers: int
) -> None:
    calls: list[str] = []

    class Hooked(Batches):
        def on_epoch_begin(self) -> None:
            calls.append("begin")

        def on_epoch_end(self) -> None:
            calls.append("end")

    source = Hooked(workers=workers)
    make().fit(source, epochs=3, steps_per_epoch=steps, verbose=0)
    assert calls == ["begin", "end"] * 3


@pytest.mark.parametrize("options", [{}, {"steps": STEPS}, {"verbose": 2}])
def test_evaluate_and_predict_are_one_epoch_each(options: dict[str, int]) -> None:
    calls: list[str] = []

    class Hooked(Batches):
        def on_epoch_begin(self) -> None:
            calls.append("begin")

        def on_epoch_end(self) -> None:
            calls.append("end")

    model = make()
    for method in (model.evaluate, model.predict):
        calls.clear()
        method(Hooked(), **{"verbose": 0, **options})
        assert calls == ["begin", "end"]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_in_order_are_loaded_once(workers: int) -> None:
    loaded: list[int] = []

    class Recording(Batches):
        def __getitem__(self, index: int) -> Any:
            loaded.append(index)
            return batch(index)

    model, once = make(), list(range(STEPS))
    for method in (model.evaluate, model.predict):
        loaded.clear()
        method(Recording(workers=workers), verbose=0)
        assert sorted(loaded) == once
    loaded.clear()
    model.fit(Recording(workers=workers), epochs=2, shuffle=False, verbose=0)
    assert sorted(loaded) == sorted(once * 2)


def test_batches_that_on_epoch_begin_changes_are_loaded_after_it() -> None:
    class Changing(Batches):
        factor = 0.0

        def __getitem__(self, index: int) -> Any:
            x, y = batch(index)
            return x * np.float32(self.factor), y

        def on_epoch_begin(self) -> None:
            self.factor = 1.0

    model = make()
    np.testing.assert_allclose(
        model.predict(Changing(), verbose=0),
        model.predict(X, BATCH, verbose=0),
        rtol=1e-6,
    )


def test_what_is_missing_is_named() -> None:
    class Nothing(PyDataset):
        pass

    with pytest.raises(NotImplementedError, match=r"\[Nothing\] implement __len__"):
        make().fit(Nothing(), verbose=0)

    class Sized(PyDataset):
        def __len__(self) -> int:
            return 1

    with pytest.raises(NotImplementedError, match=r"\[Sized\] implement __getitem__"):
        make().fit(Sized(), verbose=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_py_dataset_gives_its_batches_in_another_order_each_epoch(
    workers: int,
) -> None:
    """As in Keras; the same orders for the same seed."""

    def orders(shuffle: bool) -> list[list[int]]:
        seen: list[int] = []

        class Numbered(PyDataset):
            def __len__(self) -> int:
                return STEPS

            def __getitem__(self, index: int) -> Any:
                return np.full((BATCH, X.shape[1]), index, "f"), Y[:BATCH]

        class Watched(Sequential):
            def train_step(self, data: Any) -> Any:
                seen.append(int(data[0].numpy()[0, 0]))
                return {}

        set_random_seed(3)
        model = Watched([Input((X.shape[1],)), layers.Dense(3)])
        model.compile("sgd", "mse", run_eagerly=True)
        model.fit(Numbered(workers=workers), epochs=2, shuffle=shuffle, verbose=0)
        return [seen[:STEPS], seen[STEPS:]]

    first, second = orders(True)
    assert sorted(first) == sorted(second) == list(range(STEPS))
    assert first != second
    assert orders(True) == [first, second]
    assert orders(False) == [list(range(STEPS))] * 2


@pytest.mark.parametrize("y", [np.full(BATCH, -1), np.array(["?"] * BATCH)])
def test_predict_ignores_the_targets_of_a_stream(y: np.ndarray) -> None:
    model = make()
    got = model.predict(((X[:BATCH], y) for _ in range(2)), verbose=0)
    want = model.predict(np.concatenate([X[:BATCH]] * 2), verbose=0)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_predict_ignores_targets_for_one_of_two_outputs() -> None:
    x = Input((X.shape[1],))
    model = Model(x, [layers.Dense(1)(x), layers.Dense(1)(x)])
    model.compile("sgd", "mse")
    got = model.predict(((X[:BATCH], Y[:BATCH]) for _ in range(2)), verbose=0)
    assert [part.shape for part in got] == [(2 * BATCH, 1)] * 2
