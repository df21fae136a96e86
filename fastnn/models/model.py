# SPDX-License-Identifier: Apache-2.0
"""Model: a layer that can be compiled, trained, evaluated and asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn._registry import export, suggest
from fastnn.autodiff._tape import state as trace_state
from fastnn.autodiff.tensor import Tensor
from fastnn.layers import _call
from fastnn.layers._tracking import Untracked, unique
from fastnn.layers.input import InputLayer
from fastnn.layers.layer import Layer
from fastnn.models.functional import FunctionalMixin, split_arguments
from fastnn.models.old_spellings import OldSpellings
from fastnn.models.saving import SavingMixin
from fastnn.models.trainer import Trainer
from fastnn.symbolic.configs import automatic_config


@export("keras", "keras.models")
class Model(FunctionalMixin, SavingMixin, OldSpellings, Trainer, Layer):
    """Groups layers into something that can be trained.

    Call layers on symbolic tensors, and give the ends (tensors, or lists or dicts of
    them):

        x = Input((8,))
        hidden = Dense(30, activation="relu")(x)
        model = Model(x, Dense(1)(ops.concatenate([x, hidden], axis=-1)))

    Or make layers in `__init__` and use them in `call`:

        class WideAndDeep(Model):
            def __init__(self, units=30, **kwargs):
                super().__init__(**kwargs)
                self.hidden = layers.Dense(units, activation="relu")
                self.out = layers.Dense(1)

            def call(self, inputs):
                return self.out(self.hidden(inputs))

    Args:
        inputs, outputs: structures of symbolic tensors. Inputs may be results of layers
            too: the model then begins there and shares the layers.
        name: unique name; by default the class's name in snake case, numbered.
        trainable: whether `trainable_weights` lists the weights.
        dtype: `"float32"` or `"float64"`.

    Example:
        >>> x = keras.Input((4,))
        >>> y = keras.layers.Dense(1)(keras.layers.Dense(3, activation="relu")(x))
        >>> keras.Model(x, y).count_params()
        19
    """

    _kind = "model"
    _compiles = True
    # What `compile` sets comes with a new cache of plans, or is compared there.
    _unplanned = Layer._unplanned | frozenset(
        """compiled history loss optimizer run_eagerly stop_training _fit_run
        _compile_loss _compile_arguments _compile_metrics _loss_tracker
        _runners""".split()
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and split_arguments(args, kwargs)[0] is not None:
            cls = Functional
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        ends, kwargs = split_arguments(args, kwargs)
        super().__init__(**kwargs)
        self._remat_mode = None  # the layers made in a scope do it, one by one
        self._reset_compilation()
        if ends is not None:
            self._init_arguments = Untracked(((), kwargs))  # symbols keep layers alive
            self._set_graph(*ends)

    # -- call ------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs and type(args[0]) is np.ndarray:
            outputs = self._call_quickly(args[0])
            if outputs is not None:
                return Tensor(outputs)
        return super().__call__(*args, **kwargs)

    def _call_quickly(self, x: np.ndarray) -> np.ndarray | None:
        """The outputs by a plan, where nobody watches the layers: models/quick.py."""
        current = trace_state()
        if current.tracer or current.tapes or current.stateless or _call.state.stack:
            return None
        if not self.built or x.ndim == 0:
            return None
        runner = self._runners.current(self) or self._get_runner()
        outputs: np.ndarray | None = runner.calling(x)
        return outputs

    # -- structure -------------------------------------------------------------------

    @property
    def layers(self) -> list[Layer]:
        """Layers one step below the model.

        Those of a functional model are ordered by depth and contain its inputs.
        """
        found = self._sublayers()
        if self._graph is not None:
            return found
        return [layer for layer in found if not isinstance(layer, InputLayer)]

    @property
    def _listed_layers(self) -> list[Layer] | None:
        """Layers that files number by class; None where they go by attributes."""
        return None if self._graph is None else self.layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name, or at an index of `layers`.

        Raises:
            ValueError: when there is none, naming those that exist.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError(
                "[get_layer] give either name or index; received "
                f"name={name!r}, index={index!r}."
            )
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(
                    f"[get_layer] there is no layer {index}: model '{self.name}' has "
                    f"{len(layers)} layers."
                )
            return layers[index]
        names = [layer.name for layer in layers]
        if name not in names:
            hint = suggest(str(name), names)
            if str(name).isdigit():
                hint = f" Write get_layer(index={name})."
            raise ValueError(
                f"[get_layer] model '{self.name}' has no layer {name!r}."
                f"{hint} Layers: {', '.join(names)}."
            )
        return layers[names.index(str(name))]

    @property
    def metrics(self) -> list[Any]:
        """The loss, the compiled metrics, and metrics held by the layers."""
        known = self._runners.within_pass(
            "metrics",
            lambda: unique([*self._compiled_metrics(), *self._held_metrics()]),
        )
        return known.copy()

    @property
    def metrics_names(self) -> list[str]:
        """Names of `metrics`, in the order in which `evaluate` returns values."""
        return [name for _, name in self._reported()]

    # -- build -----------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights by running `call` on zeros.

        Args:
            input_shape: shape with the batch axis, `(None, 784)`, or a structure of
                shapes for several inputs.
        """
        super().build(input_shape)
        if self._graph is not None:
            return
        try:
            _call.probe_output_shape(self, input_shape)
        except BaseException:
            self.built = False
            raise

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if type(self).call is Model.call or self._builds_itself():
            super()._build_for(args, kwargs)
        else:  # `call`, which runs next, makes the weights of the layers it uses
            Layer.build(self, _call.shapes_of(args[0] if args else None))

    def _builds_itself(self) -> bool:
        return type(self).build is not Model.build

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Plain data that makes the model again, without its weights.

        That of a functional model lists its layers and the calls between them as Keras
        3 does.
        """
        from fastnn.models.graph_config import graph_config, takes_ends

        cls = type(self)
        if self._graph is not None and takes_ends(cls):
            return graph_config(self)
        base = super().get_config()
        if cls.get_config is Model.get_config and cls.__init__ is not Model.__init__:
            return automatic_config(self, self._init_arguments.value, base)
        return base

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Makes a model, with new weights, from what `get_config` returned.

        Args:
            config: of fastnn or of Keras 3.
            custom_objects: name -> class, for layers that are not registered.
        """
        from fastnn.models.graph_config import is_graph_config, model_from_config

        if is_graph_config(config):
            return model_from_config(cls, config, custom_objects)
        return cls(**config)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Prints a table of the layers and the numbers of parameters.

        Args:
            line_length: width of the table in characters.
            positions: ends of the columns as shares of the width, `[0.45, 0.8, 1.0]`.
            print_fn: called with each line; it is printed by default.
            expand_nested: list the layers of nested models as well.
            show_trainable: add a column that says which layers are trained.
            layer_range: names of the first and the last layer to list.
        """
        from fastnn.models.summary import print_summary

        print_summary(
            self,
            line_length=line_length,
            positions=positions,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )


@export("keras.src.models.functional")
class Functional(Model):
    """What `Model(inputs, outputs)` makes."""
