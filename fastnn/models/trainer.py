# SPDX-License-Identifier: Apache-2.0
"""compile, the steps, fit, evaluate and predict: the half of Model that learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastnn import tree
from fastnn._switches import filtered, learning_phase
from fastnn.autodiff.grad import GradientTape
from fastnn.data import adapt, unpack_x_y_sample_weight
from fastnn.errors import NOT_COMPILED, NotCompiledError
from fastnn.metrics.mean import Mean
from fastnn.models import loops
from fastnn.models.checks import check_count, warn_of_one_softmax
from fastnn.models.compile_metrics import CompileMetrics
from fastnn.models.compile_utils import CompileLoss, optimizer_for
from fastnn.models.logits import warn_of_logits
from fastnn.models.prepare import PrepareMixin
from fastnn.models.quick import signature
from fastnn.models.results import as_logs
from fastnn.models.runners import RunnerCache
from fastnn.models.sources import make_source

if TYPE_CHECKING:
    from fastnn.callbacks import History
    from fastnn.graph.plan import Plan


class Trainer(PrepareMixin):
    """Mixed into Model."""

    name: str
    losses: list[Any]
    trainable_weights: list[Any]

    @property
    def metrics(self) -> list[Any]:
        """The loss and the compiled metrics."""
        return self._compiled_metrics()

    # -- compile ---------------------------------------------------------------------

    def _reset_compilation(self) -> None:
        self.optimizer: Any = None
        self.loss: Any = None
        self.compiled = False
        self.stop_training = False
        self.run_eagerly = False
        self.history: History | None = None
        self._fit_run: Any = None  # while `fit` runs
        self._compile_loss: CompileLoss | None = None
        self._compile_metrics: tuple[CompileMetrics, ...] = ()
        self._compile_arguments: dict[str, Any] = {}
        self._loss_tracker: Any = None
        self._runners = RunnerCache()

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Chooses how the model learns. Names, functions and objects are all accepted.

        Args:
            optimizer: `"sgd"`, `SGD(learning_rate=0.01)`.
            loss: `"mse"`, a function of (y_true, y_pred), a Loss; None when layers add
                their own losses.
            loss_weights: factors of the outputs' losses.
            metrics: list of what to report; `"accuracy"` takes the form that targets
                and outputs ask for.
            weighted_metrics: the same, computed with sample weights.
            run_eagerly: run every step in Python, where it can be debugged.
            steps_per_execution, jit_compile: accepted; a whole epoch runs natively.
            auto_scale_loss: scale the loss of models with the policy mixed_float16.

        Raises:
            ValueError: for an unknown name, with near ones; nothing is changed then.
        """
        check_count("compile", "steps_per_execution", steps_per_execution)
        made = optimizer_for(self, optimizer, auto_scale_loss)
        warn_of_one_softmax(self.layers)  # type: ignore[attr-defined]
        names = self._known_output_names()
        compile_loss = CompileLoss(loss, loss_weights, names)
        warn_of_logits(self, loss)
        taken = {"loss"}
        compile_metrics = (
            CompileMetrics(metrics, False, names, taken),
            CompileMetrics(weighted_metrics, True, names, taken),
        )
        self._reset_compilation()
        self.optimizer = made
        self.loss = loss
        self.run_eagerly = bool(run_eagerly)
        self._compile_loss = compile_loss
        self._compile_metrics = compile_metrics
        self._loss_tracker = Mean(name="loss")
        self._compile_arguments = {
            "optimizer": made,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": self.run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }
        self.compiled = True

    def _compiled_metrics(self) -> list[Any]:
        if self._loss_tracker is None:
            return []
        return [metric for metric, _ in self._named_metrics()]

    def _known_output_names(self) -> list[str]:
        """Names of the outputs, as far as they are known without calling the model."""
        return []

    def _named_metrics(self) -> list[tuple[Any, str]]:
        """What `compile` made, and what logs call it, in the order of `evaluate`."""
        if self._loss_tracker is None:
            return []
        groups = self._compile_metrics
        named = [p for g in groups for p in zip(g.metrics, g.names, strict=True)]
        trackers = [] if self._compile_loss is None else self._compile_loss.trackers
        # Keras's order: what has its own name, then what is called after its output.
        own = [pair for pair in named if pair[0].name == pair[1]]
        others = sorted((p for p in named if p not in own), key=lambda pair: pair[1])
        by_name = [
            (tracker, tracker.name) for tracker in [self._loss_tracker, *trackers]
        ]
        return [by_name[0], *own, *by_name[1:], *others]

    def _reported(self) -> list[tuple[Any, str]]:
        """`metrics` with what logs call each; one made for two outputs has two names.

        The compiled ones stand together, in their own order, where the first is listed.
        """
        metrics = self.metrics
        return self._runners.within_pass(
            "reported", lambda: self._find_reported(metrics), *metrics
        )

    def _find_reported(self, metrics: list[Any]) -> list[tuple[Any, str]]:
        listed = {id(metric) for metric in metrics}
        compiled = [p for p in self._named_metrics() if id(p[0]) in listed]
        known = {id(metric) for metric, _ in compiled}
        pairs: list[tuple[Any, str]] = []
        for metric in metrics:
            if id(metric) not in known:
                pairs.append((metric, metric.name))
            elif compiled:
                pairs += compiled
                compiled = []
        return pairs

    def _require_compiled(self, method: str) -> None:
        if not self.compiled:
            raise NotCompiledError(NOT_COMPILED.format(method=method))

    # -- steps, which are traced into plans and may be overridden --------------------

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The compiled loss plus the losses added by layers, a scalar tensor."""
        parts = []
        if self._compile_loss is not None:
            main = self._compile_loss(y, y_pred, sample_weight)
            parts = [] if main is None else [main]
        parts += self.losses
        if not parts:
            raise ValueError(
                "[compute_loss] there is nothing to minimise: compile(loss=...) was "
                "not given a loss, and no layer added one."
            )
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Updates the compiled metrics with a batch; returns all results so far."""
        wanted = None if self._compile_loss is None else self._compile_loss.wanted
        for group in self._compile_metrics:
            group.update(y, y_pred, sample_weight, wanted)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """Name -> value so far, as tensors; a dict of results gives all its entries."""
        results: dict[str, Any] = {}
        for metric, name in self._reported():
            value = metric.result()
            results.update(value if isinstance(value, dict) else {name: value})
        return results

    def train_step(self, data: Any) -> dict[str, Any]:
        """Forward, backward and update for one batch.

        Args:
            data: (x, y, sample_weight), the last two optional.

        Returns:
            Name -> running value of each metric.
        """
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
            scaled = self.optimizer.scale_loss(loss)
        variables = self._trained()
        if variables:
            gradients = tape.gradient(scaled, variables)
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Forward and metrics for one batch; see `train_step`."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        training = learning_phase() == 1
        y_pred = self(x, training=training)  # type: ignore[operator]
        if y is not None or self.loss is not None or self.losses:
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=False)
            self._loss_tracker.update_state(loss, sample_weight=_batch_size(x))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """Outputs for one batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=learning_phase() == 1)  # type: ignore[operator]

    def reset_metrics(self) -> None:
        """Starts the running means of all metrics again."""
        for metric in self.metrics:
            metric.reset_state()

    # -- runners ---------------------------------------------------------------------

    def _get_runner(self, trains: bool = False) -> Any:
        """What runs the steps, with plans of the model as it is now."""
        return self._runners.get(self, trains)

    def _ready(self, kind: str, *arrays: Any) -> Any:
        """A short way for such a batch, or None: models/quick.py."""
        runner = self._runners.current(self)
        if runner is None:
            return None
        return runner.ready.get(signature(kind, *arrays))

    def plan(self, kind: str = "train") -> Plan:
        """The native plan that the model runs, for inspection.

        `print(model.plan().summary(profile=True))` shows its instructions with their
        times, `model.plan().chrome_trace("trace.json")` draws them.

        Args:
            kind: "train", "test" or "predict": the plan that `fit`, `evaluate` or
                `predict` (or their `_on_batch` forms) ran last.

        Raises:
            ValueError: when nothing of the kind has run yet, or runs eagerly.
        """
        plan: Plan = self._get_runner().plan(kind)
        return plan

    # -- training --------------------------------------------------------------------

    @filtered
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Trains the model, going on from its current weights.

        Args:
            x: array, data frame, list or dict of arrays; or a generator, iterable or
                sequence of batches (x, y) or (x, y, sample_weight).
            y: targets.
            batch_size, validation_batch_size: samples per step, 32 by default.
            epochs: number of the epoch to stop before.
            verbose: 0 silent, 1 or "auto" progress bar, 2 one line per epoch.
            callbacks: list of Callback objects.
            validation_split: share of the data, its LAST rows, to validate on.
            validation_data: (x, y), (x, y, sample_weight) or an iterable of batches.
            shuffle: new order in each epoch, of samples or of a PyDataset's batches.
            class_weight: label -> weight of its samples; sample_weight, one each, wins.
            initial_epoch: number of the first epoch.
            steps_per_epoch, validation_steps: batches per pass; all by default.
            validation_freq: validate every n epochs, or after those listed.

        Returns:
            The History; `history.history["loss"]` has one value per epoch.
        """
        self._require_compiled("fit")
        plan = loops.FitSettings(
            batch_size=batch_size,
            epochs=epochs,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            shuffle=bool(shuffle),
            verbose=loops.check_verbose(verbose),
        )
        data = adapt(x, y, sample_weight, class_weight, "fit")
        held_out = validation_data, validation_split
        data, validation = loops.with_validation(data, *held_out)
        data = self._prepare(data, "fit")
        validation = validation and self._prepare(validation, "validation_data")
        with self._runners.one_pass():
            return loops.fit(self, data, validation, plan, callbacks)

    def _trained(self) -> list[Any]:
        """`trainable_weights`; the search takes 1 ms where there are 60 layers."""
        return self._runners.within_pass("trained", lambda: self.trainable_weights)

    def _build_optimizer(self) -> None:
        """Makes the slots, but none for nothing: everything may be thawed later."""
        if not self.optimizer.built and (weights := self._trained()):
            self.optimizer.build(weights)

    @filtered
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data, in inference mode.

        Args:
            x, y, sample_weight, batch_size, verbose, callbacks: as for `fit`.
            steps: number of batches; all of them by default.
            return_dict: return name -> value.

        Returns:
            The loss, or a list [loss, metrics...], or a dict.
        """
        self._require_compiled("evaluate")
        batch_size = loops.check_batch_size("evaluate", batch_size)
        verbose = loops.check_verbose(verbose)
        data = self._prepare(adapt(x, y, sample_weight, where="evaluate"), "evaluate")
        source = make_source(data, batch_size, False, steps, "evaluate")
        with self._runners.one_pass("test"):
            logs = loops.evaluate(self, source, callbacks, verbose)
        return logs if return_dict else self._in_order(logs)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Outputs for all of `x`, in inference mode.

        Args:
            x, batch_size, verbose, callbacks: as for `fit`; targets in x are ignored.
            steps: number of batches; all of them by default.

        Returns:
            An array, or a list of arrays when there are several outputs.
        """
        if verbose == 0 and callbacks is None and steps is None:
            step = self._ready("predict", x)
            most = 32 if batch_size is None else batch_size
            known = step is not None and type(most) is int and most > 0
            if known and (len(x) <= most or (step.rows_apart and most > 1)):
                return step(x)
        batch_size = loops.check_batch_size("predict", batch_size)
        verbose = loops.check_verbose(verbose)
        data = self._prepare(adapt(x, where="predict", only_x=True), "predict")
        return loops.predict(self, data, batch_size, steps, callbacks, verbose)

    # -- single batches --------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One update on one batch; metrics are those of this batch alone.

        Returns:
            The loss, or a list [loss, metrics...], or a dict.
        """
        given, where = (x, y, sample_weight), "train_on_batch"
        return self._on_batch("train", given, class_weight, return_dict, where)

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics of one batch.

        Returns:
            The loss, or a list [loss, metrics...], or a dict.
        """
        given, where = (x, y, sample_weight), "test_on_batch"
        return self._on_batch("test", given, None, return_dict, where)

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch, an array (or a structure of arrays)."""
        step = self._ready("predict", x)
        if step is not None:
            return step(x)
        where = "predict_on_batch"
        data = self._prepare(adapt(x, where=where, only_x=True), where)
        return self._get_runner().predict_batch(data.x)

    def _on_batch(
        self, kind: str, given: Any, class_weight: Any, return_dict: bool, where: str
    ) -> Any:
        self._require_compiled(where)
        step = self._ready(kind, *given) if class_weight is None else None
        if step is not None:
            step.forget(self)
            logs, order = step(self, given, where), step.order
        else:
            self.reset_metrics()
            x, y, sample_weight = given
            data = adapt(x, y, sample_weight, class_weight, where)
            data = self._prepare(data, where)
            runner = self._get_runner(trains=kind == "train")
            results = getattr(runner, f"{kind}_batch")(*data.arrays)
            logs = as_logs(self.get_metrics_result() if results is None else results)
            order = self._order_of(logs)
            if results is not None and class_weight is None:
                runner.remember(kind, given, data.arrays, order)
        return logs if return_dict else _listed(logs, order)

    def _in_order(self, logs: dict[str, float]) -> Any:
        return _listed(logs, self._order_of(logs))

    def _order_of(self, logs: dict[str, float]) -> list[str]:
        """Names in the order of `metrics_names`, others after them."""
        names = [name for _, name in self._reported() if name in logs]
        return names + [name for name in logs if name not in names]


def _listed(logs: dict[str, float], order: list[str]) -> Any:
    values = [logs[name] for name in order]
    return values[0] if len(values) == 1 else values


def _batch_size(x: Any) -> int:
    return int(tree.flatten(x)[0].shape[0])
