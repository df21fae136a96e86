# SPDX-License-Identifier: Apache-2.0
"""Reading and writing all weights of a layer or model at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.autodiff.tensor import Variable
from fastnn.errors import NotBuiltError, ShapeError
from fastnn.layers._tracking import tracked, unique
from fastnn.layers.input_spec import format_shape

if TYPE_CHECKING:
    from fastnn.layers.layer import Layer


_USUAL = ("kernel", "bias", "embeddings", "gamma", "beta", "moving_mean")


def no_attribute(layer: Any, name: str) -> str:
    """Text of the AttributeError of a layer."""
    text = f"'{type(layer).__name__}' object has no attribute '{name}'"
    if name in _USUAL and not layer.built:
        text += ": it has no weights yet; build it, or call it on data, first"
    return text


class WeightsMixin:
    """The half of Layer that lists, reads and writes weights."""

    name: str
    built: bool
    trainable: bool

    def _sublayers(self) -> list[Layer]:
        raise NotImplementedError

    def _own_and_inner(self) -> tuple[list[Variable], list[Any]]:
        """The own variables, trainable ones first, as Keras orders them, and the layers
        one step below; one search for both, which the first step repeats per layer.
        """
        held = tracked(self, (Variable, WeightsMixin))
        own = [item for item in held if isinstance(item, Variable)]
        own.sort(key=lambda variable: not variable.trainable)
        inner = [x for x in held if isinstance(x, WeightsMixin) and x is not self]
        return own, inner

    @property
    def weights(self) -> list[Variable]:
        """All weights: the layer's own, then those of each inner layer."""
        own, inner = self._own_and_inner()
        return unique([*own, *(w for layer in inner for w in layer.weights)])

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that training may change; empty when `trainable` is False."""
        if not self.trainable:
            return []
        own, inner = self._own_and_inner()
        trained = [w for w in own if w.trainable]
        return unique([*trained, *(w for x in inner for w in x.trainable_weights)])

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other weights: frozen ones, and statistics such as moving means."""
        trained = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trained]

    def _seed_states(self) -> list[Variable]:
        from fastnn.random import SeedGenerator

        own = [generator.state for generator in tracked(self, SeedGenerator)]
        return own + [s for layer in self._sublayers() for s in layer._seed_states()]

    @property
    def variables(self) -> list[Variable]:
        """The weights and the states of random seeds; metrics are not included."""
        return unique([*self.weights, *self._seed_states()])

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """`variables` without the trainable ones."""
        trained = {id(w) for w in self.trainable_weights}
        return [v for v in self.variables if id(v) not in trained]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, in the order of `weights`."""
        return [np.array(weight.numpy()) for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets all weights from arrays in the order of `weights`.

        Args:
            weights: one array per weight, each of that weight's shape.

        Raises:
            ShapeError: listing every mismatch; nothing is changed then.
        """
        own = self.weights
        kind = type(self).__name__
        arrays = [np.asarray(value) for value in weights]
        lines = [
            f"  {weight.path}: expected {format_shape(weight.shape)}, "
            f"received {format_shape(array.shape)}"
            for weight, array in zip(own, arrays, strict=False)
            if tuple(weight.shape) != array.shape
        ]
        if len(own) != len(arrays):
            lines += [
                f"  {weight.path}: no array given" for weight in own[len(arrays) :]
            ]
            lines += [
                f"  array {i} of shape {format_shape(array.shape)}: no weight left"
                for i, array in enumerate(arrays)
                if i >= len(own)
            ]
        if lines:
            built = "" if self.built else " (it is not built yet)"
            raise ShapeError(
                f"[set_weights] {kind} '{self.name}'{built} has {len(own)} weights, "
                f"received {len(arrays)} arrays. Mismatches:\n" + "\n".join(lines)
            )
        for weight, array in zip(own, arrays, strict=True):
            if array.dtype.kind not in "biuf":
                raise TypeError(
                    f"[set_weights] {weight.path} cannot hold dtype {array.dtype}."
                )
        for weight, array in zip(own, arrays, strict=True):
            weight.assign(array.astype(weight.dtype, copy=False))

    # -- without side effects --------------------------------------------------------

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Calls the layer as a function of its variables, which stay as they are.

        Args:
            trainable_variables: one value per variable of `trainable_variables`.
            non_trainable_variables: one per variable of `non_trainable_variables`:
                statistics, and states of random seeds.
            args, kwargs: of the call.
            return_losses: whether the call's losses are returned, too.

        Returns:
            (outputs, what the non-trainable variables become), and with
            `return_losses` a list of scalars. Gradients reach the values given.

        Raises:
            ValueError: before the layer is built, and for other numbers of values.
        """
        from fastnn.autodiff.stateless import called_with, results

        if not self.built:
            raise NotBuiltError(
                f"[stateless_call] {type(self).__name__} '{self.name}' has no "
                "variables yet: build it, or call it on data, first."
            )
        others = self.non_trainable_variables
        scope = called_with(
            "stateless_call",
            {
                "trainable_variables": (self.trainable_variables, trainable_variables),
                "non_trainable_variables": (others, non_trainable_variables),
            },
        )
        with scope:
            outputs = self(*args, **kwargs)  # type: ignore[operator]
            losses = list(self.losses) if return_losses else []  # type: ignore[attr-defined]
        found = results(scope, others)
        return (outputs, found, losses) if return_losses else (outputs, found)

    # -- files -----------------------------------------------------------------------

    def _saved_variables(self) -> list[Variable]:
        """The own variables in the order of files; inner layers have their own."""
        return self._own_and_inner()[0]

    def _expected_variables(self, store: Any) -> list[Variable] | None:
        """What a file must have for this layer; None when it reads files itself."""
        if type(self).load_own_variables is not WeightsMixin.load_own_variables:
            return None
        return self._saved_variables()

    def save_own_variables(self, store: Any) -> None:
        """Writes the own variables to a mapping, keyed `"0"`, `"1"`, ..."""
        for i, variable in enumerate(self._saved_variables()):
            store[str(i)] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        Raises:
            ValueError: when the mapping has more or fewer variables.
        """
        own = self._saved_variables()
        if len(store.keys()) != len(own):
            built = "" if self.built else ", which is not built,"
            raise ValueError(
                f"[load_own_variables] layer '{self.name}'{built} has {len(own)} "
                f"variables, received {len(store.keys())}."
            )
        for i, variable in enumerate(own):
            variable._load(store, str(i))

    def count_params(self) -> int:
        """Number of scalars in all weights.

        Raises:
            NotBuiltError: when the weights do not exist yet.
        """
        if not self.built:
            raise NotBuiltError(
                f"[count_params] {type(self).__name__} '{self.name}' has no weights "
                "yet: build it, or call it on data, first."
            )
        return sum(int(np.prod(w.shape, dtype=np.int64)) for w in self.weights)
