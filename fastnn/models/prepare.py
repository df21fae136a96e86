# SPDX-License-Identifier: Apache-2.0
"""Makes data fit a model, or says why it does not, before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.data import ArrayData, StreamData
from fastnn.errors import PlanError, ShapeError
from fastnn.graph.trace import trace
from fastnn.layers import _call
from fastnn.models.checks import check_sample_weight, check_targets
from fastnn.models.compile_utils import match_rank
from fastnn.opset import Spec

Shape = tuple[int | None, ...]


class PreparedStream:
    """A StreamData whose batches fit the model."""

    def __init__(self, stream: StreamData, model: Any, where: str) -> None:
        self.stream = stream
        self.model = model
        self.where = where

    def batches(self) -> Any:
        """Batches (x, y, sample_weight) of one pass."""
        with closing(self.stream.batches()) as batches:
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
        shapes = self._output_shapes(x)
        y = data.y
        if y is not None and self._compile_loss is not None:
            y = self._conform_y(y, shapes, where)
            self._check_y(y, shapes, where)
            if isinstance(data.sample_weight, np.ndarray):
                first = tree.flatten(y)[0]
                check_sample_weight(data.sample_weight, first, where)
        self._ensure_built(x)
        if y is not None:
            true_shapes = [None if t is None else t.shape for t in tree.flatten(y)]
            if len(true_shapes) == len(shapes):
                for group in self._compile_metrics:
                    group.build(true_shapes, shapes)
        return ArrayData(x, y, data.sample_weight, data.num_samples)

    def _conform_x(self, x: Any, where: str) -> Any:
        """Inputs as the model takes them."""
        return x

    def _ensure_built(self, x: Any) -> None:
        """Makes the weights if they do not exist."""

    def _output_shapes(self, x: Any) -> list[Shape]:
        """Shape of each output, found by calling the model on the first two samples."""
        sample = tree.map_structure(lambda array: array[:2], x)
        try:  # traced: variables that the call assigns keep their values
            leaves = tree.flatten(sample)
            specs = [Spec(a.shape, a.dtype.name) for a in leaves]
            _, outputs = trace(lambda *t: self._call_on(sample, t), specs)
        except PlanError:
            outputs = self(sample, training=False)  # type: ignore[operator]
        return [_call.open_shape(output) for output in tree.flatten(outputs)]

    def _call_on(self, structure: Any, tensors: Sequence[Any]) -> Any:
        inputs = tree.pack_sequence_as(structure, list(tensors))
        return self(inputs, training=False)  # type: ignore[operator]

    def _conform_y(self, y: Any, shapes: Sequence[Shape], where: str) -> Any:
        targets = tree.flatten(y)
        if len(targets) != len(shapes):
            raise ShapeError(
                f"[{where}] the model has {len(shapes)} outputs, y has {len(targets)} "
                "arrays."
            )
        fitted = [match_rank(t, s) for t, s in zip(targets, shapes, strict=True)]
        return tree.pack_sequence_as(y, fitted)

    def _check_y(self, y: Any, shapes: Sequence[Shape], where: str) -> None:
        self._compile_loss.build(len(shapes))
        targets = tree.flatten(y)
        for loss, target, shape in zip(
            self._compile_loss.losses, targets, shapes, strict=True
        ):
            check_targets(loss, target, shape, where)
