# SPDX-License-Identifier: Apache-2.0
"""What `compile` makes of its arguments: the outputs they speak of, and their losses.

A model with one output is the case of a list of length one; everything here works on
lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import losses, metrics, ops, optimizers, tree
from fastnn.errors import ShapeError
from fastnn.layers import _changes as layer_changes

ACCURACY = ("accuracy", "acc")
CROSSENTROPY = ("crossentropy", "ce")


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


class Outputs:
    """The outputs of a model in flat order, by which everything else is spread.

    Args:
        count: how many there are.
        names: their names, where they have any; else they are numbered.
        keyed: whether the outputs are a dict of these names.

    Attributes:
        leaves, paths: the outputs themselves and their places in what the model
            returned, when made by `of`.
    """

    def __init__(self, count: int, names: Sequence[str] = (), keyed: bool = False):
        self.count = count
        self.named = len(names) == count
        numbers = [f"output_{i + 1}" for i in range(count)]
        self.names = list(names) if self.named else numbers
        self.keyed = keyed
        self.leaves: list[Any] = []
        self.paths: list[tuple[Any, ...]] = []

    @classmethod
    def of(cls, structure: Any, names: Sequence[str] = ()) -> Outputs:
        """Those of a model that returned `structure`; a dict's keys are their names."""
        flat = tree.flatten_with_path(structure)
        keyed = isinstance(structure, dict) and all(len(path) == 1 for path, _ in flat)
        if keyed:
            names = [str(path[0]) for path, _ in flat]
        made = cls(len(flat), names, keyed)
        made.leaves = [leaf for _, leaf in flat]
        made.paths = [path for path, _ in flat]
        return made

    def spread(
        self,
        value: Any,
        what: str,
        wanted: Sequence[bool] | None,
        where: str,
    ) -> list[Any]:
        """One entry of `value` per output, None where there is none.

        Args:
            value: None, one for all (weights only), a list in order, a dict by name,
                or the structure of the outputs.
            what: "y" or "sample_weight".
            wanted: which outputs have a loss; a list may leave out the others.
            where: name of the method, for messages.

        Raises:
            ShapeError: when the entries are too few or too many, or names unknown.
        """
        if isinstance(value, dict):
            placed = dict(tree.flatten_with_path(value))
            if self.paths and placed.keys() == set(self.paths):
                return [placed[path] for path in self.paths]
            if self._by_name(value, what, where):
                return [value.get(name) for name in self.names]
        items = tree.flatten(value)
        if len(items) == self.count:
            return items
        if len(items) == 1 and (what == "sample_weight" or items[0] is None):
            return items * self.count
        if wanted is not None and len(items) == sum(wanted):
            given = iter(items)
            return [next(given) if one else None for one in wanted]
        raise ShapeError(
            f"[{where}] the model has {self.count} outputs, {what} has {len(items)} "
            "arrays."
        )

    def at(self, where: str, i: int) -> str:
        """The method, and the output that it failed for where there are several."""
        return where if self.count == 1 else f"{where}: output '{self.names[i]}'"

    def _by_name(self, value: dict[str, Any], what: str, where: str) -> bool:
        if len(value) == self.count == 1:
            return False  # whatever its name
        unknown = [str(key) for key in value if key not in self.names]
        if unknown and (self.named or len(value) != self.count):
            raise ShapeError(
                f"[{where}] {what} names no output: {', '.join(unknown)}. Outputs: "
                f"{', '.join(self.names)}."
            )
        return not unknown


def per_output(spec: Any, outputs: Outputs, what: str) -> list[Any]:
    """The specification spread over the outputs: given once, in a list, or by name."""
    if isinstance(spec, dict) and not is_config(spec):
        unknown = [key for key in spec if key not in outputs.names]
        if unknown:
            raise ValueError(
                f"[compile] {what} names no output: {', '.join(map(str, unknown))}. "
                f"Outputs: {', '.join(outputs.names)}."
            )
        return [spec.get(name) for name in outputs.names]
    if isinstance(spec, (list, tuple)):
        if len(spec) != outputs.count:
            raise ValueError(
                f"[compile] the model has {outputs.count} outputs, {what} has "
                f"{len(spec)} entries."
            )
        return list(spec)
    return [spec] * outputs.count


def resolve_loss(identifier: Any) -> Any:
    """A Loss from a name, config, class, function or Loss; None stays None."""
    loss = losses.get(identifier)
    if loss is None or isinstance(loss, losses.Loss):
        return loss
    return losses.LossFunctionWrapper(loss)


def is_config(spec: Any) -> bool:
    return isinstance(spec, dict) and "class_name" in spec


def leaves_of(spec: Any) -> list[Any]:
    """Single specifications in lists and dicts; a config dict is one."""
    if isinstance(spec, (list, tuple)):
        return [leaf for one in spec for leaf in leaves_of(one)]
    if isinstance(spec, dict) and not is_config(spec):
        return [leaf for one in spec.values() for leaf in leaves_of(one)]
    return [spec]


def check_spec(spec: Any, resolve: Any) -> None:
    """Resolves every name once, so that `compile` raises before anything changes."""
    for leaf in leaves_of(spec):
        if not isinstance(leaf, str) or leaf not in ACCURACY + CROSSENTROPY:
            resolve(leaf)


class CompileLoss:
    """The total loss: a weighted sum over outputs.

    Args:
        loss: one specification for all outputs, a list, or a dict by output name.
        loss_weights: factors, in the same forms; 1 by default.
        output_names: names of the outputs, where the model knows them.

    Attributes:
        losses: one Loss or None per output, once `build` has run.
        trackers: running means of the outputs' losses, when several have one, in the
            order of `loss`: `{output}_loss`, without the factors.
    """

    def __init__(
        self, loss: Any, loss_weights: Any = None, output_names: Sequence[str] = ()
    ) -> None:
        check_spec(loss, resolve_loss)
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
        self.trackers: list[Any] = []
        self._tracker_of: dict[int, Any] = {}

    def build(self, outputs: Outputs) -> None:
        """Fixes the losses for the outputs of the model."""
        if len(self.losses) == outputs.count:
            return
        if outputs.count == 1 and isinstance(self._loss, dict) and len(self._loss) == 1:
            specs = list(self._loss.values())
        else:
            specs = per_output(self._loss, outputs, "loss")
        self.losses = [resolve_loss(spec) for spec in specs]
        self.weights = per_output(self._loss_weights, outputs, "loss_weights")
        self._make_trackers(specs, outputs)

    def _make_trackers(self, specs: list[Any], outputs: Outputs) -> None:
        with_loss = [i for i, loss in enumerate(self.losses) if loss is not None]
        if len(with_loss) < 2:
            return
        if outputs.keyed and isinstance(self._loss, dict):
            place = {name: i for i, name in enumerate(self._loss)}
            with_loss.sort(key=lambda i: place[outputs.names[i]])
        for i in with_loss:
            name = outputs.names[i]
            if not outputs.named:
                name = specs[i] if isinstance(specs[i], str) else self.losses[i].name
            taken = {tracker.name for tracker in self.trackers}
            free = f"{name}_loss"
            if free in taken:
                free = f"{name}_loss_{len(taken)}"
            self._tracker_of[i] = metrics.Mean(name=free)
            self.trackers.append(self._tracker_of[i])
        layer_changes.note()  # the model has more metrics

    @property
    def wanted(self) -> list[bool] | None:
        """Which outputs have a loss; None before `build`."""
        return [loss is not None for loss in self.losses] or None

    def _require_targets(self, targets: list[Any], outputs: Outputs) -> None:
        missing = [
            i
            for i, loss in enumerate(self.losses)
            if loss is not None and targets[i] is None
        ]
        if not missing:
            return
        name = self.losses[missing[0]].name
        absent = "y was not given. Call fit(x, y); batches must be (x, y)."
        if any(target is not None for target in targets):
            names = ", ".join(repr(outputs.names[i]) for i in missing)
            absent = f"y has none for {names}. Outputs: {', '.join(outputs.names)}."
        raise ValueError(f"[compute_loss] the loss {name!r} needs targets: {absent}")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The total, a scalar, or None when no output has a loss."""
        outputs = Outputs.of(y_pred, self.output_names)
        self.build(outputs)
        where = "compute_loss"
        targets = outputs.spread(y_true, "y", self.wanted, where)
        weights = outputs.spread(sample_weight, "sample_weight", self.wanted, where)
        self._require_targets(targets, outputs)
        total = None
        for i, (loss, factor, target, prediction, weight) in enumerate(
            zip(
                self.losses,
                self.weights,
                targets,
                outputs.leaves,
                weights,
                strict=True,
            )
        ):
            if loss is None:
                continue
            try:
                value = loss(match_rank(target, prediction.shape), prediction, weight)
            except ShapeError as error:
                if outputs.count == 1:
                    raise
                raise ShapeError(f"[{outputs.at(where, i)}] {error}") from None
            if i in self._tracker_of:
                self._tracker_of[i].update_state(value, prediction.shape[0])
            if factor is not None:
                value = value * factor
            total = value if total is None else total + value
        return total


def optimizer_for(model: Any, identifier: Any, auto_scale_loss: bool) -> Any:
    """The optimizer of `compile`; it scales the loss where float16 asks for it."""
    made = isinstance(identifier, optimizers.Optimizer)
    found = identifier if made else optimizers.get(identifier)
    half = model.dtype_policy.name == "mixed_float16"
    if not (auto_scale_loss and half) or found is None:
        return found
    if isinstance(found, optimizers.LossScaleOptimizer):
        return found
    return optimizers.LossScaleOptimizer(found)
