# SPDX-License-Identifier: Apache-2.0
"""The loops over epochs and batches, with their callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import config
from fastnn._switches import limited_epochs
from fastnn.callbacks import CallbackList, History
from fastnn.data import ArrayData, StreamData, adapt, unpack_x_y_sample_weight
from fastnn.errors import warn_user
from fastnn.models.checks import check_count, warn_of_nan, warn_of_no_weights
from fastnn.models.fit_run import FitRun
from fastnn.models.results import concatenate
from fastnn.models.sources import ArraySource, Progress, StreamSource, make_source


def check_batch_size(where: str, batch_size: Any) -> int:
    """32 for None."""
    if batch_size is None:
        return 32
    return check_count(where, "batch_size", batch_size)


def check_verbose(verbose: Any) -> int:
    """0, 1 or 2; "auto" is 1.

    Raises:
        ValueError: for anything else.
    """
    if verbose == "auto":
        return 1
    if verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"[verbose] must be 'auto', 0, 1 or 2, received {verbose!r}.")


class FitSettings:
    """The arguments of `fit` that are numbers, checked."""

    def __init__(
        self,
        batch_size: int | None,
        epochs: int,
        initial_epoch: int,
        steps_per_epoch: int | None,
        validation_steps: int | None,
        validation_batch_size: int | None,
        validation_freq: int | Sequence[int],
        shuffle: bool,
        verbose: int,
    ) -> None:
        self.batch_size = check_batch_size("fit", batch_size)
        self.validation_batch_size = self.batch_size
        if validation_batch_size is not None:
            self.validation_batch_size = check_count(
                "fit", "validation_batch_size", validation_batch_size
            )
        self.epochs = limited_epochs(check_count("fit", "epochs", epochs, least=0))
        self.initial_epoch = check_count("fit", "initial_epoch", initial_epoch, least=0)
        for name, value in (
            ("steps_per_epoch", steps_per_epoch),
            ("validation_steps", validation_steps),
        ):
            if value is not None:
                check_count("fit", name, value)
        self.steps_per_epoch = steps_per_epoch
        self.validation_steps = validation_steps
        if isinstance(validation_freq, Sequence):
            self.validation_freq: Any = {int(epoch) for epoch in validation_freq}
        else:
            self.validation_freq = check_count(
                "fit", "validation_freq", validation_freq
            )
        self.shuffle = shuffle
        self.verbose = verbose

    def validates_after(self, epoch: int) -> bool:
        """Whether validation follows epoch number `epoch`, counted from 0."""
        if isinstance(self.validation_freq, set):
            return epoch + 1 in self.validation_freq
        return bool((epoch + 1) % self.validation_freq == 0)


def with_validation(
    data: Any, validation_data: Any, validation_split: Any
) -> tuple[Any, Any]:
    """(training data, validation data or None) for the arguments of `fit`."""
    if validation_data is not None:
        parts = validation_parts(validation_data)
        return data, adapt(*parts, where="validation_data")
    return split(data, validation_split) if validation_split else (data, None)


def validation_parts(validation_data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) from a tuple; anything else yields batches itself."""
    if isinstance(validation_data, (tuple, list)):
        if len(validation_data) not in (2, 3):
            raise ValueError(
                "[fit] validation_data must be (x, y) or (x, y, sample_weight), "
                f"received {len(validation_data)} items."
            )
        return unpack_x_y_sample_weight(tuple(validation_data))
    if hasattr(validation_data, "dtype"):
        raise ValueError(
            "[fit] validation_data needs targets: it must be (x, y) or (x, y, "
            "sample_weight), received one array."
        )
    return validation_data, None, None


def split(data: Any, fraction: Any) -> tuple[Any, Any]:
    """Training and validation part for `validation_split`.

    Raises:
        ValueError: for data that is not in memory, or a fraction outside (0, 1).
    """
    if isinstance(data, StreamData):
        raise ValueError(
            "[fit] validation_split needs arrays; give validation_data beside a "
            f"{type(data.source).__name__}."
        )
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
        raise ValueError(
            f"[fit] validation_split must be a number, received {fraction!r}."
        )
    first, last = data.split(fraction)
    return first, last


def fit(
    model: Any, data: Any, validation: Any, settings: FitSettings, callbacks: Any
) -> History:
    """Runs the epochs; see `Trainer.fit`."""
    warn_of_no_weights(model)
    source = make_source(
        data, settings.batch_size, settings.shuffle, settings.steps_per_epoch, "fit"
    )
    checks = None
    if validation is not None:
        checks = make_source(
            validation,
            settings.validation_batch_size,
            False,
            settings.validation_steps,
            "fit",
        )
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks,
            add_history=True,
            add_progbar=settings.verbose != 0,
            model=model,
            verbose=settings.verbose,
            epochs=settings.epochs,
            steps=source.steps,
        )
    model.stop_training = False
    run = FitRun(model, source, checks, callbacks, settings.initial_epoch)
    model._fit_run = run
    try:
        callbacks.on_train_begin()
        stopped = run.stopped
        quiet = None
        while run.epoch < settings.epochs and not stopped:
            if quiet is None or not quiet.run(settings.epochs - run.epoch):
                run.logs = _epoch(run, settings)
                run.next_epoch()
            stopped = model.stop_training
            if quiet is None and settings.epochs - run.epoch > 1:
                from fastnn.models.quiet import QuietEpochs  # not for the first step

                quiet = QuietEpochs(run, settings.batch_size)
        if settings.epochs and model.optimizer.built:
            model.optimizer.finalize_variable_values(model._trained())
        run.completed = True
    except BaseException:
        callbacks.on_train_abort(run.logs)
        raise
    finally:
        model._fit_run = None
        for opened in (source, checks):
            if opened is not None:
                opened.close()
    callbacks.on_train_end(run.logs)
    history: History = model.history
    return history


def _epoch(run: FitRun, settings: FitSettings) -> dict[str, float]:
    model, source, callbacks = run.model, run.source, run.callbacks
    epoch = run.epoch
    callbacks.on_epoch_begin(epoch)
    if not run.resumed:
        model.reset_metrics()
    run.after_epoch_begin()
    runner = model._get_runner(trains=True)
    progress = Progress(model, runner, callbacks, "train", source.steps)
    progress.done = run.done
    if not (run.resumed and model.stop_training):
        source.run(runner, "train", progress)
    if source.exhausted:
        warn_user(
            f"[fit] the data ended after {progress.done} batches of epoch {epoch + 1}: "
            "training stops. A generator must yield steps_per_epoch * epochs batches."
        )
        model.stop_training = True
    logs = progress.finish()
    if not model.stop_training:  # else somebody has noticed
        losses = model.history.history.get("loss", ())
        warn_of_nan(logs, losses, getattr(source, "data", None))
    if run.checks is not None and settings.validates_after(epoch):
        results = _test_pass(model, run.checks, callbacks)
        logs.update({f"val_{name}": value for name, value in results.items()})
    if source.steps is not None and callbacks.params.get("steps") is None:
        callbacks.set_params({**callbacks.params, "steps": source.steps})
    callbacks.on_epoch_end(epoch, logs)
    return logs


def _test_pass(model: Any, source: Any, callbacks: CallbackList) -> dict[str, float]:
    callbacks.on_test_begin()
    model.reset_metrics()
    runner = model._get_runner()
    progress = Progress(model, runner, callbacks, "test", source.steps)
    source.run(runner, "test", progress)
    logs = progress.finish()
    callbacks.on_test_end(logs)
    return logs


def evaluate(model: Any, source: Any, callbacks: Any, verbose: int) -> dict[str, float]:
    """One pass of evaluation with callbacks of its own."""
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=1,
            steps=source.steps,
        )
    try:
        return _test_pass(model, source, callbacks)
    finally:
        source.close()


def predict_quietly(model: Any, data: Any, batch_size: int) -> Any:
    """Outputs without callbacks: one call of the runner for arrays."""
    runner = model._get_runner()
    if isinstance(data, ArrayData):
        return _as_list(runner.predict(data.x, batch_size))
    source = make_source(data, batch_size, False, None, "predict")
    assert isinstance(source, StreamSource)
    try:
        parts = [runner.predict_batch(batch[0]) for batch in source.batches()]
    finally:
        source.close()
    return _as_list(concatenate(parts))


def predict(
    model: Any,
    data: Any,
    batch_size: int,
    steps: int | None,
    callbacks: Any,
    verbose: int,
) -> Any:
    """Outputs, with callbacks and a progress bar where they are wanted."""
    told = isinstance(callbacks, CallbackList) or callbacks or verbose
    if not (told or steps or config.max_steps_per_epoch()):
        return predict_quietly(model, data, batch_size)
    source = make_source(data, batch_size, False, steps, "predict")
    if not isinstance(callbacks, CallbackList):
        callbacks = CallbackList(
            callbacks,
            add_progbar=verbose != 0,
            model=model,
            verbose=verbose,
            epochs=1,
            steps=source.steps,
        )
    runner = model._get_runner()
    callbacks.on_predict_begin()
    if isinstance(source, ArraySource) and not callbacks.has_predict_batch_hooks:
        outputs = runner.predict(data.x, batch_size)
        callbacks.on_progress("predict", (source.steps or 1) - 1, {})
        callbacks.on_predict_end()
        return _as_list(outputs)
    batches = source.batches() if isinstance(source, StreamSource) else None
    parts = []
    try:
        for i, batch in enumerate(batches or data.batches(batch_size)):
            if callbacks.has_predict_batch_hooks:
                callbacks.on_batch("predict", "begin", i, {})
            parts.append(runner.predict_batch(batch[0]))
            callbacks.on_batch("predict", "end", i, {"outputs": parts[-1]})
            callbacks.on_progress("predict", i, {})
    finally:
        source.close()
    callbacks.on_predict_end()
    return _as_list(concatenate(parts))


def _as_list(outputs: Any) -> Any:
    return list(outputs) if isinstance(outputs, tuple) else outputs
