# SPDX-License-Identifier: Apache-2.0
"""The metrics that `compile` was given, one group per output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import losses, metrics
from fastnn.layers import _changes as layer_changes
from fastnn.models.compile_utils import (
    ACCURACY,
    CROSSENTROPY,
    Outputs,
    check_spec,
    is_config,
    leaves_of,
    match_rank,
    per_output,
)


class _LossMetric(metrics.MeanMetricWrapper):
    """The mean of a Loss over the batches: as in Keras each counts 1, also a short one.

    With weights, for which Keras has an error, a batch's value is the weighted loss. A
    loss that is not reduced has a value per instance, and each instance counts.
    """

    def __init__(self, loss: losses.Loss) -> None:
        super().__init__(loss, name=loss.name)
        self._reduced = loss.reduction not in (None, "none")

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        if self._reduced:
            value = self._fn(y_true, y_pred, sample_weight)
            metrics.Mean.update_state(self, value)
        else:
            super().update_state(y_true, y_pred, sample_weight)


class CompileMetrics:
    """The metrics of every output, made when the shapes are known.

    Args:
        metrics: for one output a list of names, functions and Metric objects; for
            several, a list of such lists or a dict by output name.
        weighted: whether updates use sample weights.
        output_names: names of the outputs, where the model knows them.
        taken: names in use; those of the metrics made are added.

    Attributes:
        names: what logs call each of `metrics`: `{output}_{metric}` when there are
            several outputs, with `weighted_` or a number where that is taken.
    """

    def __init__(
        self,
        metrics: Any,
        weighted: bool = False,
        output_names: Sequence[str] = (),
        taken: set[str] | None = None,
    ) -> None:
        check_spec(metrics, _metric_of)
        self._spec = metrics
        self.weighted = weighted
        self.output_names = list(output_names)
        self.taken = {"loss"} if taken is None else taken
        self.built = False
        self.per_output: list[list[Any]] = []
        self.names: list[str] = []

    @property
    def metrics(self) -> list[Any]:
        """All metrics in order; empty before `build`."""
        return [metric for group in self.per_output for metric in group]

    def build(
        self,
        true_shapes: Sequence[Any],
        pred_shapes: Sequence[Any],
        outputs: Outputs | None = None,
    ) -> None:
        """Makes the metrics.

        Args:
            true_shapes: one target shape per output, None where there is no target.
            pred_shapes: one output shape per output.
            outputs: the outputs, if more than `output_names` is known of them.
        """
        if self.built:
            return
        count = len(pred_shapes)
        outputs = outputs or Outputs(count, self.output_names)
        specs = [self._spec] if count == 1 else _metric_lists(self._spec, outputs)
        if count == 1 and isinstance(self._spec, dict) and not is_config(self._spec):
            specs = list(self._spec.values()) or [None]
        for i, spec in enumerate(specs):
            group = [
                make_metric(one, true_shapes[i], pred_shapes[i])
                for one in leaves_of(spec)
                if one is not None
            ]
            self.per_output.append(group)
            prefix = f"{outputs.names[i]}_" if count > 1 and outputs.named else ""
            self.names += [self._free_name(prefix, metric.name) for metric in group]
        self.built = True
        layer_changes.note()  # the model has more metrics

    def _free_name(self, prefix: str, own: str) -> str:
        name = f"{prefix}{own}"
        if name in self.taken and self.weighted:
            name = f"{prefix}weighted_{own}"
        free, number = name, 0
        while free in self.taken:
            number += 1
            free = f"{name}_{number}"
        self.taken.add(free)
        return free

    def update(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any = None,
        wanted: Sequence[bool] | None = None,
    ) -> None:
        """Adds a batch to every metric.

        Args:
            y_true, y_pred, sample_weight: as `compute_metrics` takes them.
            wanted: which outputs have a loss, of which a shorter y is the targets.
        """
        outputs = Outputs.of(y_pred, self.output_names)
        predictions = outputs.leaves
        where = "compute_metrics"
        targets = outputs.spread(y_true, "y", wanted, where)
        weights = outputs.spread(sample_weight, "sample_weight", wanted, where)
        self.build(
            [None if t is None else t.shape for t in targets],
            [p.shape for p in predictions],
            outputs,
        )
        given = any(target is not None for target in targets)
        for i, (group, target, prediction, weight) in enumerate(
            zip(self.per_output, targets, predictions, weights, strict=True)
        ):
            if given and target is None and group:
                raise ValueError(
                    f"[{where}] the metric {group[0].name!r} needs targets: y has none "
                    f"for {outputs.names[i]!r}. Outputs: {', '.join(outputs.names)}."
                )
            for metric in group if target is not None else ():
                aligned = match_rank(target, prediction.shape)
                if self.weighted:
                    metric.update_state(aligned, prediction, weight)
                else:
                    metric.update_state(aligned, prediction)


def _metric_lists(spec: Any, outputs: Outputs) -> list[Any]:
    if isinstance(spec, (list, tuple)) and not any(
        isinstance(one, (list, tuple)) for one in spec
    ):
        if len(spec) == outputs.count:
            return list(spec)
        raise ValueError(
            f"[compile] the model has {outputs.count} outputs: give metrics as a list "
            f"of {outputs.count} lists, or as a dict by output name "
            f"({', '.join(outputs.names)})."
        )
    return per_output(spec, outputs, "metrics")


def _metric_of(identifier: Any) -> Any:
    found = None if identifier is None else metrics.get(identifier)
    return _LossMetric(found) if isinstance(found, losses.Loss) else found


def make_metric(
    identifier: Any, true_shape: Any, pred_shape: Sequence[int | None]
) -> Any:
    """A Metric from a name, config, class, function, Loss or Metric.

    "accuracy" and "crossentropy" become the binary, sparse or categorical form that the
    shapes of targets and outputs ask for; they keep the name they were asked by.
    """
    found = identifier
    if isinstance(identifier, str) and identifier in ACCURACY + CROSSENTROPY:
        kind = "accuracy" if identifier in ACCURACY else "crossentropy"
        found = f"{_form(true_shape, pred_shape)}_{kind}"
    metric = _metric_of(found)
    if not isinstance(metric, metrics.Metric):
        name = identifier if isinstance(identifier, str) else None
        metric = metrics.MeanMetricWrapper(
            metric, name=name or getattr(metric, "__name__", "metric")
        )
    elif isinstance(identifier, str):
        metric.name = identifier
    return metric


def _form(true_shape: Any, pred_shape: Sequence[int | None]) -> str:
    if pred_shape[-1] == 1:
        return "binary"
    if true_shape is not None and (
        len(true_shape) < len(pred_shape)
        or (true_shape[-1] == 1 and pred_shape[-1] != 1)
    ):
        return "sparse_categorical"
    return "categorical"
