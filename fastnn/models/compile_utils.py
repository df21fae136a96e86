# SPDX-License-Identifier: Apache-2.0
"""What `compile` makes of its arguments: one loss and the metrics of each output.

A model with one output is the case of a list of length one; everything here works on
lists, so models with several outputs need nothing new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import losses, metrics, ops, tree
from fastnn.errors import ShapeError

_ACCURACY = ("accuracy", "acc")
_CROSSENTROPY = ("crossentropy", "ce")


def match_rank(y: Any, shape: Sequence[int | None]) -> Any:
    """Targets (n,) as (n, 1) when the outputs are (n, 1), and the other way round.

    One number per sample means the same in both forms, so nothing is broadcast.
    """
    rank = len(y.shape)
    if rank == len(shape) - 1 and shape[-1] == 1:
        return _reshape(y, (*y.shape, 1))
    if rank == len(shape) + 1 and y.shape[-1] == 1:
        return _reshape(y, y.shape[:-1])
    return y


def _reshape(y: Any, shape: tuple[int, ...]) -> Any:
    return y.reshape(shape) if isinstance(y, np.ndarray) else ops.reshape(y, shape)


def _outputs(structure: Any) -> list[Any]:
    """One entry per output; None counts as an entry."""
    return tree.flatten(structure)


def _per_output(spec: Any, count: int, names: Sequence[str], what: str) -> list[Any]:
    """The specification spread over the outputs: given once, in a list, or by name."""
    if isinstance(spec, dict) and not _is_config(spec):
        unknown = [key for key in spec if key not in names]
        if unknown:
            raise ValueError(
                f"[compile] {what} names no output: {', '.join(map(str, unknown))}. "
                f"Outputs: {', '.join(names)}."
            )
        return [spec.get(name) for name in names]
    if isinstance(spec, (list, tuple)):
        if len(spec) != count:
            raise ValueError(
                f"[compile] the model has {count} outputs, {what} has {len(spec)} "
                "entries."
            )
        return list(spec)
    return [spec] * count


def resolve_loss(identifier: Any) -> Any:
    """A Loss from a name, config, class, function or Loss; None stays None."""
    loss = losses.get(identifier)
    if loss is None or isinstance(loss, losses.Loss):
        return loss
    return losses.LossFunctionWrapper(loss)


def _is_config(spec: Any) -> bool:
    return isinstance(spec, dict) and "class_name" in spec


def _leaves(spec: Any) -> list[Any]:
    """Single specifications in lists and dicts; a config dict is one."""
    if isinstance(spec, (list, tuple)):
        return [leaf for one in spec for leaf in _leaves(one)]
    if isinstance(spec, dict) and not _is_config(spec):
        return [leaf for one in spec.values() for leaf in _leaves(one)]
    return [spec]


def _check_spec(spec: Any, resolve: Any) -> None:
    """Resolves every name once, so that `compile` raises before anything changes."""
    for leaf in _leaves(spec):
        if not isinstance(leaf, str) or leaf not in _ACCURACY + _CROSSENTROPY:
            resolve(leaf)


class CompileLoss:
    """The total loss: a weighted sum over outputs.

    Args:
        loss: one specification for all outputs, a list, or a dict by output name.
        loss_weights: factors, in the same forms; 1 by default.
        output_names: names of the outputs, for dicts.

    Attributes:
        losses: one Loss or None per output, once `build` has run.
    """

    def __init__(
        self, loss: Any, loss_weights: Any = None, output_names: Sequence[str] = ()
    ) -> None:
        _check_spec(loss, resolve_loss)
        for weight in tree.flatten(loss_weights):
            if weight is not None and not isinstance(weight, (int, float)):
                raise TypeError(
                    "[compile] loss_weights must be numbers, received "
                    f"{loss_weights!r}."
                )
        self._loss = loss
        self._loss_weights = loss_weights
        self.output_names = list(output_names)
        self.losses: list[Any] = []
        self.weights: list[float | None] = []

    def build(self, count: int) -> None:
        """Fixes the losses for a number of outputs."""
        if len(self.losses) == count:
            return
        names = self.output_names or [f"output_{i + 1}" for i in range(count)]
        if count == 1 and isinstance(self._loss, dict) and len(self._loss) == 1:
            specs = list(self._loss.values())
        else:
            specs = _per_output(self._loss, count, names, "loss")
        self.losses = [resolve_loss(spec) for spec in specs]
        self.weights = _per_output(self._loss_weights, count, names, "loss_weights")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The total, a scalar, or None when no output has a loss."""
        predictions = _outputs(y_pred)
        self.build(len(predictions))
        targets = _spread(y_true, len(predictions), "y")
        weights = _spread(sample_weight, len(predictions), "sample_weight")
        total = None
        for loss, factor, target, prediction, weight in zip(
            self.losses, self.weights, targets, predictions, weights, strict=True
        ):
            if loss is None:
                continue
            if target is None:
                raise ValueError(
                    f"[fit] the loss {loss.name!r} needs targets: y was not given."
                )
            value = loss(match_rank(target, prediction.shape), prediction, weight)
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total


def _spread(value: Any, count: int, what: str) -> list[Any]:
    items = _outputs(value)
    if len(items) == count:
        return items
    if len(items) == 1 and (what == "sample_weight" or items[0] is None):
        return items * count
    raise ShapeError(
        f"[fit] the model has {count} outputs, {what} has {len(items)} arrays."
    )


class CompileMetrics:
    """The metrics of every output, made when the shapes are known.

    Args:
        metrics: for one output a list of names, functions and Metric objects; for
            several, a list of such lists or a dict by output name.
        weighted: whether updates use sample weights.
        output_names: names of the outputs, for dicts.
        taken: names in use; those of the metrics made are added.
    """

    def __init__(
        self,
        metrics: Any,
        weighted: bool = False,
        output_names: Sequence[str] = (),
        taken: set[str] | None = None,
    ) -> None:
        _check_spec(metrics, _metric_of)
        self._spec = metrics
        self.weighted = weighted
        self.output_names = list(output_names)
        self.taken = {"loss"} if taken is None else taken
        self.built = False
        self.per_output: list[list[Any]] = []

    @property
    def metrics(self) -> list[Any]:
        """All metrics in order; empty before `build`."""
        return [metric for group in self.per_output for metric in group]

    def build(self, true_shapes: Sequence[Any], pred_shapes: Sequence[Any]) -> None:
        """Makes the metrics.

        Args:
            true_shapes: one target shape per output, None where there is no target.
            pred_shapes: one output shape per output.
        """
        if self.built:
            return
        count = len(pred_shapes)
        names = self.output_names or [f"output_{i + 1}" for i in range(count)]
        specs = [self._spec] if count == 1 else _metric_lists(self._spec, count, names)
        if count == 1 and isinstance(self._spec, dict) and not _is_config(self._spec):
            specs = list(self._spec.values()) or [None]
        for i, spec in enumerate(specs):
            group = [
                make_metric(one, true_shapes[i], pred_shapes[i])
                for one in _leaves(spec)
                if one is not None
            ]
            if count > 1:
                for metric in group:
                    metric.name = f"{names[i]}_{metric.name}"
            self.per_output.append(group)
        for metric in self.metrics:
            name, number = metric.name, 0
            while metric.name in self.taken:
                number += 1
                metric.name = f"{name}_{number}"
            self.taken.add(metric.name)
        self.built = True

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch to every metric."""
        predictions = _outputs(y_pred)
        targets = _spread(y_true, len(predictions), "y")
        weights = _spread(sample_weight, len(predictions), "sample_weight")
        self.build(
            [None if t is None else t.shape for t in targets],
            [p.shape for p in predictions],
        )
        for group, target, prediction, weight in zip(
            self.per_output, targets, predictions, weights, strict=True
        ):
            for metric in group if target is not None else ():
                aligned = match_rank(target, prediction.shape)
                if self.weighted:
                    metric.update_state(aligned, prediction, weight)
                else:
                    metric.update_state(aligned, prediction)


def _metric_lists(spec: Any, count: int, names: Sequence[str]) -> list[Any]:
    if isinstance(spec, (list, tuple)) and not any(
        isinstance(one, (list, tuple)) for one in spec
    ):
        if len(spec) == count:
            return list(spec)
        raise ValueError(
            f"[compile] the model has {count} outputs: give metrics as a list of "
            f"{count} lists, or as a dict by output name ({', '.join(names)})."
        )
    return _per_output(spec, count, names, "metrics")


def _metric_of(identifier: Any) -> Any:
    found = metrics.get(identifier)
    if isinstance(found, losses.Loss):
        raise TypeError(
            f"[compile] {identifier!r} is a Loss, metrics take functions, names and "
            "Metric objects."
        )
    return found


def make_metric(
    identifier: Any, true_shape: Any, pred_shape: Sequence[int | None]
) -> Any:
    """A Metric from a name, config, class, function or Metric.

    "accuracy" and "crossentropy" become the binary, sparse or categorical form that the
    shapes of targets and outputs ask for; they keep the name they were asked by.
    """
    found = identifier
    if isinstance(identifier, str) and identifier in _ACCURACY + _CROSSENTROPY:
        kind = "accuracy" if identifier in _ACCURACY else "crossentropy"
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
