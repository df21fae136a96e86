# SPDX-License-Identifier: Apache-2.0
"""TensorBoard: curves, histograms, the model and its plan, for TensorBoard to show."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.callbacks import _plan_graph
from fastnn.callbacks.callback import Callback
from fastnn.errors import warn_user
from fastnn.serialization import serialize_keras_object
from fastnn.utils.event_files import EventWriter


def _steps_of(profile_batch: Any) -> tuple[int, int]:
    """(first, last) batch to profile; (0, 0) for none."""
    given = profile_batch
    if isinstance(given, str):
        parts = given.split(",")
        given = (
            [int(p) for p in parts] if all(p.strip().isdigit() for p in parts) else 0.5
        )
    if isinstance(given, (list, tuple)) and len(given) == 1:
        given = given[0]
    pair = (given, given) if isinstance(given, int) else given
    good = isinstance(pair, (list, tuple)) and len(pair) == 2
    if (
        not good
        or not all(isinstance(n, int) for n in pair)
        or not 0 <= pair[0] <= pair[1]
    ):
        raise ValueError(
            "[TensorBoard] profile_batch must be a number of a batch, 0 for none, or a "
            f"pair (first, last), received {profile_batch!r}."
        )
    return pair[0], pair[1]


def _update_freq(value: Any) -> int | None:
    """Batches between two summaries; None for one per epoch."""
    if value == "epoch":
        return None
    if value == "batch":
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            "[TensorBoard] update_freq must be 'epoch', 'batch' or a number of "
            f"batches, received {value!r}."
        )
    return value


class TensorBoard(Callback):
    """Writes event files: `tensorboard --logdir logs` shows them in a browser.

    Curves of training are in `<log_dir>/train`, those of validation in
    `<log_dir>/validation`. Nothing but NumPy is needed to write them.

    Args:
        log_dir: folder of the run, made with its parents; best a new one per run.
        histogram_freq: epochs between histograms of the weights; 0 for none.
        write_graph: show the model, and the native plan of a training step after the
            first epoch.
        write_images: show weights as pictures with their histograms.
        write_steps_per_second: a curve of training's speed.
        update_freq: "epoch", "batch", or batches between points of the curves of
            batches. All but "epoch" make training report each batch.
        profile_batch: a batch, or a pair (first, last), from 1 on: after the epoch with
            it the plan is run as many times and timed. The times are with the graph
            (choose the tag `plan`), as text, and in `plugins/profile` as a Chrome
            trace. The model does not change. 0 for none.
        embeddings_freq: epochs between writing the weights of Embedding layers for the
            projector; 0 for none.
        embeddings_metadata: a file with the names of the rows, or a dict from names of
            layers to files.

    Raises:
        ValueError: for an `update_freq` or `profile_batch` of another form.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = update_freq
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._every = _update_freq(update_freq)
        self._first, self._last = _steps_of(profile_batch)
        self._train = EventWriter(Path(self.log_dir, "train"))
        self._val = EventWriter(Path(self.log_dir, "validation"))
        self._batches = {"train": 0, "test": 0}
        self._plan_written = self._profiled = self._in_fit = False
        self._epoch_start = (0.0, 0)
        # Only then: a class with hooks of batches makes an epoch stop for each batch.
        if self._every is not None:
            self.on_train_batch_end = self._after_train_batch  # type: ignore[method-assign]
            self.on_test_batch_end = self._after_test_batch  # type: ignore[method-assign]

    # -- training --------------------------------------------------------------------

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True
        self._batches["train"] = 0
        self._plan_written = self._profiled = False
        if self.write_graph:
            self._write_model()

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False
        self._train.close()
        self._val.close()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_start = time.perf_counter(), int(self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._write_epoch(epoch, dict(logs or {}))
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        if self.write_graph and not self._plan_written:
            self._plan_written = True
            plan = self._plan()
            if plan is not None:
                self._train.graph(_plan_graph.graph_def(plan))
        done = int(self.model.optimizer.iterations)
        if self._last and not self._profiled and done >= self._last:
            self._profiled = True
            self._write_profile()
        self._train.flush()
        self._val.flush()

    def _after_train_batch(self, batch: int, logs: Any = None) -> None:
        self._batches["train"] += 1
        self._write_batch(self._train, self._batches["train"], logs)

    def _after_test_batch(self, batch: int, logs: Any = None) -> None:
        self._batches["test"] += 1
        self._write_batch(self._val, self._batches["test"], logs)

    def on_test_end(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        if optimizer is not None:
            step = int(optimizer.iterations)
            for name, value in (logs or {}).items():
                self._val.scalar(f"evaluation_{name}_vs_iterations", value, step)
        if not self._in_fit:
            self._val.close()

    # -- curves ----------------------------------------------------------------------

    def _write_batch(self, writer: EventWriter, number: int, logs: Any) -> None:
        assert self._every is not None
        if number % self._every == 0:
            for name, value in (logs or {}).items():
                writer.scalar(f"batch_{name}", value, number)

    def _write_epoch(self, epoch: int, logs: dict[str, Any]) -> None:
        optimizer = self.model.optimizer
        rate = optimizer.learning_rate
        logs["learning_rate"] = float(rate)
        if self.write_steps_per_second:
            start, before = self._epoch_start
            taken = time.perf_counter() - start
            logs["steps_per_second"] = (int(optimizer.iterations) - before) / taken
        for name, value in logs.items():
            if name.startswith("val_"):
                self._val.scalar(f"epoch_{name[4:]}", value, epoch)
            else:
                self._train.scalar(f"epoch_{name}", value, epoch)

    def _write_weights(self, epoch: int) -> None:
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = np.asarray(weight.numpy(), "float32")
                self._train.histogram(f"{name}/histogram", values, epoch)
                picture = _as_images(values) if self.write_images else None
                if picture is not None:
                    self._train.images(f"{name}/image", picture, epoch)

    # -- model and plan --------------------------------------------------------------

    def _write_model(self) -> None:
        try:
            config = json.dumps(serialize_keras_object(self.model))
        except Exception:  # a subclassed model need not have a config
            return
        self._train.keras_model("keras", config, 0)

    def _plan(self) -> Any:
        try:
            return self.model.plan("train")
        except ValueError:  # run_eagerly: there is none
            return None

    def _write_profile(self) -> None:
        plan = self._plan()
        if plan is None:
            warn_user(
                "[TensorBoard] there is no plan to profile: the model runs eagerly."
            )
            return
        profile = plan.profile(self._last - self._first + 1)
        step = self._last
        data = _plan_graph.run_metadata(plan, profile)
        self._train.run_metadata("plan", data, step)
        lines = "\n".join(f"    {line}" for line in str(profile).splitlines())
        self._train.text("plan_times", lines, step)
        date = time.strftime("%Y_%m_%d_%H_%M_%S")
        folder = Path(self.log_dir, "train", "plugins", "profile", date)
        folder.mkdir(parents=True, exist_ok=True)
        profile.chrome_trace(folder / "local.trace.json")

    # -- embeddings ------------------------------------------------------------------

    def _write_embeddings(self) -> None:
        found = [layer for layer in self.model.layers if hasattr(layer, "embeddings")]
        metadata = self.embeddings_metadata
        if isinstance(metadata, dict):
            unknown = set(metadata) - {layer.name for layer in found}
            if unknown:
                raise ValueError(
                    "[TensorBoard] embeddings_metadata names no Embedding layers: "
                    f"{sorted(unknown)}; there are {[la.name for la in found]}."
                )
        folder = Path(self.log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        text = ""
        for layer in found:
            rows = np.asarray(layer.embeddings.numpy())
            np.savetxt(folder / f"{layer.name}.tsv", rows, fmt="%.6g", delimiter="\t")
            named = metadata.get(layer.name) if isinstance(metadata, dict) else metadata
            text += f'embeddings {{\n  tensor_name: "{layer.name}"\n'
            text += f'  tensor_path: "{layer.name}.tsv"\n'
            text += f'  metadata_path: "{named}"\n' if named else ""
            text += "}\n"
        (folder / "projector_config.pbtxt").write_text(text, encoding="utf-8")


def _as_images(weight: np.ndarray) -> np.ndarray | None:
    """A weight as pictures (count, height, width, 1), as Keras shows them, or None."""
    values = np.squeeze(weight)
    if values.ndim == 1:
        values = values[None, :, None]
    elif values.ndim == 2:
        values = values.T if values.shape[0] > values.shape[1] else values
        values = values[:, :, None]
    elif values.ndim == 3:
        values = values.transpose(2, 0, 1)[..., None]
    if values.ndim == 3:
        values = values[None]
    return values if values.ndim == 4 and values.shape[-1] in (1, 3, 4) else None


__all__ = ["TensorBoard"]
