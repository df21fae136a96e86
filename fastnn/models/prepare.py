# SPDX-License-Identifier: Apache-2.0
"""Makes data fit a model, or says why it does not, before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from fastnn import tree
from fastnn.data import ArrayData, StreamData
from fastnn.errors import PlanError
from fastnn.graph.trace import trace
from fastnn.layers import _call
from fastnn.models.checks import check_sample_weight, check_targets
from fastnn.models.compile_utils import Outputs, match_rank
from fastnn.opset import Spec

Shape = tuple[int | None, ...]


class PreparedStream:
    """A StreamData whose batches fit the model."""

    def __init__(self, stream: StreamData, model: Any, where: str) -> None:
        self.stream = stream
        self.model = model
        self.where = where

    def batches(self, order: Any = None) -> Any:
        """Batches (x, y, sample_weight) of one pass."""
        with closing(self.stream.batches(order)) as batches:
            for x, y, sample_weight in batches:
                batch = ArrayData(x, y, sample_weight, 0)
                yield self.model._fit_to_model(batch, self.where).arrays


class PrepareMixin:
    """The part of Trainer that looks at data; models with known shapes refine it."""

    built: bool
    _compile_loss: Any
    _compile_metrics: Any

    def _prepare(self, data: ArrayData | StreamData, where: str) -> Any:
        """Data that fits; the model gets built and its metrics made on the way.

        Nothing has changed when this raises (a model without an input shape may have
        been built).
        """
        if isinstance(data, StreamData):
            self._fit_to_model(ArrayData(*data.peek(), 0), where)
            return PreparedStream(data, self, where)
        return self._fit_to_model(data, where)

    def _fit_to_model(self, data: ArrayData, where: str) -> ArrayData:
        x = self._conform_x(data.x, where)
        y, weights = data.y, data.sample_weight
        if y is None or self._compile_loss is None:
            self._ensure_built(x)
            return ArrayData(x, y, weights, data.num_samples)
        found = _call.returned(self, self._outputs_for(x))
        outputs = Outputs.of(found, self._compile_loss.output_names)
        shapes = [_call.open_shape(output) for output in outputs.leaves]
        self._compile_loss.build(outputs)
        wanted = self._compile_loss.wanted
        targets = outputs.spread(y, "y", wanted, where)
        y, targets = _with_ranks(y, targets, shapes)
        self._check_y(targets, shapes, where, outputs)
        spread = outputs.spread(weights, "sample_weight", wanted, where)
        for i, (target, weight) in enumerate(zip(targets, spread, strict=True)):
            if weight is not None:
                check_sample_weight(weight, target, outputs.at(where, i))
        self._ensure_built(x)
        for group in self._compile_metrics:
            true_shapes = [None if t is None else t.shape for t in targets]
            group.build(true_shapes, shapes, outputs)
        return ArrayData(x, y, weights, data.num_samples)

    def _conform_x(self, x: Any, where: str) -> Any:
        """Inputs as the model takes them."""
        return x

    def _ensure_built(self, x: Any) -> None:
        """Makes the weights if they do not exist."""

    def _check_y(
        self,
        y: Any,
        shapes: Sequence[Shape],
        where: str,
        outputs: Outputs | None = None,
    ) -> None:
        losses, targets = self._compile_loss.losses, tree.flatten(y)
        for i, (loss, target) in enumerate(zip(losses, targets, strict=True)):
            if target is not None:
                place = where if outputs is None else outputs.at(where, i)
                check_targets(loss, target, shapes[i], place)

    def _output_shapes(self, x: Any) -> list[Shape]:
        """Shape of each output, with an open batch axis."""
        outputs = tree.flatten(self._outputs_for(x))
        return [_call.open_shape(output) for output in outputs]

    def _outputs_for(self, x: Any) -> Any:
        """What the model returns for x, as things that have a shape.

        Found by calling the model on the first two samples.
        """
        sample = tree.map_structure(lambda array: array[:2], x)
        try:  # traced: variables that the call assigns keep their values
            leaves = tree.flatten(sample)
            specs = [Spec(a.shape, a.dtype.name) for a in leaves]
            _, outputs = trace(lambda *t: self._call_on(sample, t), specs)
        except PlanError:
            outputs = self(sample, training=False)  # type: ignore[operator]
        return outputs

    def _call_on(self, structure: Any, tensors: Sequence[Any]) -> Any:
        inputs = tree.pack_sequence_as(structure, list(tensors))
        return self(inputs, training=False)  # type: ignore[operator]


def _with_ranks(
    y: Any, targets: list[Any], shapes: Sequence[Shape]
) -> tuple[Any, list[Any]]:
    """(y in its structure, the targets) with the ranks that the outputs ask for."""
    fitted = {
        id(target): match_rank(target, shape)
        for target, shape in zip(targets, shapes, strict=True)
        if target is not None
    }
    same = tree.map_structure(lambda leaf: fitted.get(id(leaf), leaf), y)
    return same, [fitted.get(id(target), target) for target in targets]
