# SPDX-License-Identifier: Apache-2.0
"""Different optimizers for different variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.optimizers.loss_scale import LossScaleOptimizer
from fastnn.optimizers.optimizer import Optimizer
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Variable


@export("keras.optimizers")
class OptimizerMap(MutableMapping[str, Optimizer]):
    """Optimizers by the paths of variables.

    Args:
        default_optimizer: for variables that nothing else matches.
        optimizer_map: path, or regular expression that matches whole paths ->
            optimizer.

    Raises:
        TypeError: for a default that is no optimizer, and a map that is no dict.
        ValueError: for a key that is set twice, or of which several match a path.
    """

    def __init__(
        self,
        default_optimizer: Optimizer,
        optimizer_map: dict[str, Optimizer] | None = None,
    ) -> None:
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                "[OptimizerMap] default_optimizer must be an Optimizer, received "
                f"{default_optimizer!r}."
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(
                f"[OptimizerMap] optimizer_map must be a dict, received "
                f"{optimizer_map!r}."
            )
        self._default_optimizer = default_optimizer
        self._map = dict(optimizer_map or {})

    @property
    def default_optimizer(self) -> Optimizer:
        """For variables that nothing else matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._map:
            return self._map[key]
        found = [pattern for pattern in self._map if re.fullmatch(pattern, key)]
        if len(found) > 1:
            raise ValueError(
                f"[OptimizerMap] variable {key!r} matches several keys: {found}."
            )
        return self._map[found[0]] if found else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str) or key in self._map:
            raise ValueError(
                f"[OptimizerMap] keys are different strings, received {key!r}."
            )
        _check_inner(optimizer, key)
        self._map[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._map[key]

    def __len__(self) -> int:
        return len(self._map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._map)

    def __call__(self, variable: Variable) -> Optimizer:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        return {
            "default_optimizer": serialize_keras_object(self._default_optimizer),
            "optimizer_map": serialize_keras_object(self._map),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> OptimizerMap:
        return cls(
            *(
                deserialize_keras_object(config[name], custom_objects)
                for name in ("default_optimizer", "optimizer_map")
            )
        )


def _check_inner(optimizer: Any, place: str) -> None:
    wraps = isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer))
    if wraps or not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"[MultiOptimizer] {place!r} needs an optimizer that wraps no other, "
            f"received {optimizer!r}."
        )


@export("keras.optimizers")
class MultiOptimizer(Optimizer):
    """Gives each variable to one of several optimizers.

    Args:
        optimizer_map: an `OptimizerMap`, or a function from a variable to its
            optimizer.
        loss_scale_factor: that of all of them.
        name: name, default from the class.

    There is no one learning rate: `optimizers` have theirs.
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Any], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._inner: list[Optimizer] = []
        self._places: dict[Variable, int] = {}
        for optimizer in getattr(optimizer_map, "values", list)():
            self._include(optimizer)
        default = getattr(optimizer_map, "default_optimizer", None)
        if default is not None:
            self._include(default)

    def _include(self, optimizer: Optimizer) -> int:
        """The place of an optimizer, a new one if need be."""
        places = [i for i, known in enumerate(self._inner) if known is optimizer]
        if places:
            return places[0]
        optimizer.loss_scale_factor = self.loss_scale_factor
        self._inner.append(optimizer)
        return len(self._inner) - 1

    def build(self, variables: Sequence[Variable]) -> None:
        """Builds each optimizer with its variables."""
        if self.built:
            return
        for variable in variables:
            optimizer = self._optimizer_map(variable)
            _check_inner(optimizer, variable.path)
            self._places[variable] = self._include(optimizer)
        for place, optimizer in enumerate(self._inner):
            own = [v for v in variables if self._places[v] == place]
            if own:
                optimizer.build(own)
        super().build(variables)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers inside."""
        return self._inner

    @property
    def variables(self) -> list[Variable]:
        """Own variables, then those of the optimizers."""
        return [*self._variables, *(v for o in self._inner for v in o.variables)]

    @property
    def learning_rate(self) -> Any:
        """There is none.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(
            "[MultiOptimizer] has no learning rate of its own: each of `.optimizers` "
            "has one."
        )

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(
            "[MultiOptimizer] has no learning rate of its own: set those of "
            "`.optimizers`."
        )

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "loss_scale_factor":
            for optimizer in self.__dict__.get("_inner", ()):
                optimizer.loss_scale_factor = value

    def _versions(self) -> Any:
        return (self._version, *(o._versions() for o in self._inner))

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Makes one step of each optimizer; see `Optimizer.apply`."""
        if not grads:
            return
        variables = self._known(grads, trainable_variables)
        for place, optimizer in enumerate(self._inner):
            own = [
                (grad, variable)
                for grad, variable in zip(grads, variables, strict=True)
                if self._places[variable] == place
            ]
            if own:
                optimizer.apply([g for g, _ in own], [v for _, v in own])
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        for place, optimizer in enumerate(self._inner):
            own = [v for v in var_list if self._places[v] == place]
            if own:
                optimizer.finalize_variable_values(own)

    def get_config(self) -> dict[str, Any]:
        return {
            "optimizer_map": serialize_keras_object(self._optimizer_map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> MultiOptimizer:
        found = deserialize_keras_object(config["optimizer_map"], custom_objects)
        return cls(**{**config, "optimizer_map": found})
