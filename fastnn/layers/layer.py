# SPDX-License-Identifier: Apache-2.0
"""Layer: weights plus a function of tensors; the base of every layer and model."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import _names, dtype_policies, initializers, tree
from fastnn._registry import export
from fastnn._switches import learning_phase
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.errors import ShapeError, SymbolicTensorError, warn_renamed
from fastnn.layers import _call, _changes, _masks, _parts, _symbolic
from fastnn.layers._old_spellings import OldSpellings
from fastnn.layers._policy import PolicyMixin
from fastnn.layers._tracking import Untracked, clock, tracked
from fastnn.layers._weights import WeightsMixin, no_attribute
from fastnn.layers.input_spec import check_inputs, format_shape
from fastnn.saving.allowance import new_weight
from fastnn.symbolic import configs
from fastnn.symbolic.base import Operation
from fastnn.symbolic.node import Calls
from fastnn.symbolic.tensor import KerasTensor


def _remat_scope() -> Any:
    """The scope in which layers rematerialize their calls, where one is open."""
    remat = sys.modules.get("fastnn.autodiff.remat")
    return None if remat is None else remat.current_scope()


def _wrap_build(build: Any) -> Any:
    @functools.wraps(build)
    def wrapper(self: Layer, *shapes: Any, **named: Any) -> None:
        self._run_build(build, shapes, named)

    return wrapper


@export("keras.layers", "keras")
class Layer(PolicyMixin, WeightsMixin, OldSpellings, Operation, _changes.ChangesMixin):
    """Base class: make weights in `build`, compute in `call`.

    Layers, variables, metrics and seed generators that are attributes (also inside
    lists, tuples and dicts) are found by themselves.

    Args:
        activity_regularizer: regularizer of the outputs; what it gives, divided by the
            batch size, is added to `losses`.
        trainable: whether `trainable_weights` lists the weights.
        dtype: a dtype, `"mixed_bfloat16"` or another `DTypePolicy`: what weights are
            stored in, and what inputs and weights are cast to in calls.
        autocast: whether they are cast.
        name: unique name; by default the class's name in snake case, numbered.
        input_shape: shape of one sample, for the first layer of a Sequential.

    Example:
        >>> class Scale(keras.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight((input_shape[-1],), "ones")
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> Scale()(np.ones((2, 3))).shape
        (2, 3)
    """

    _kind = "layer"  # word for error messages
    _makes_masks = False  # whether the class has a compute_mask of its own
    _compiles = False  # whether it has a `compile`, whose metrics are its own affair
    _init_arguments: Untracked
    _unplanned = frozenset(
        """built trainable _trainable _building _build_shape _init_arguments
        _calls""".split()
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Layer:
        self = super(Operation, cls).__new__(cls)
        self.__dict__["_born"] = clock()
        self._init_arguments = Untracked((args, kwargs))
        return self

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        cls = type(self).__name__
        shape = kwargs.pop("input_shape", None)
        batch_shape = kwargs.pop("batch_input_shape", None)
        if (size := kwargs.pop("input_dim", None)) is not None:
            shape = (size,)
        if kwargs.pop("dynamic", False):
            warn_renamed("dynamic=True", "compile(run_eagerly=True)")
        for option in ("lora_rank", "lora_alpha", "quantization_config"):
            if option in kwargs:  # None, as Keras writes it into configs
                _parts.refuse(self, **{option: kwargs.pop(option)})
        if kwargs:
            raise ValueError(configs.unknown_arguments(type(self), kwargs))
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"[{cls}] name must be a string without '/', received {name!r}."
            )
        self.name: str = name or _names.auto_name(cls)
        self.built = False
        self.supports_masking = self._makes_masks
        self.input_spec: Any = None
        self.activity_regularizer = _parts.find("regularizer", activity_regularizer)
        self.autocast = bool(autocast)
        self._dtype_policy = dtype_policies.get(dtype)
        self._trainable = bool(trainable)
        self._path = self.name
        self._build_shape: Any = None
        self._building = False
        self._weights: list[Variable] = []
        self._losses: list[Any] = []
        self._layers_with_losses = Untracked([])
        self._remat_mode = _remat_scope()
        self._calls = Calls()
        self._declared_input_shape: tuple[int | None, ...] | None = None
        if batch_shape is not None:
            self._declared_input_shape = tuple(batch_shape)
        elif shape is not None:
            sizes = shape if isinstance(shape, Sequence) else (shape,)
            self._declared_input_shape = (None, *sizes)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._makes_masks = cls.compute_mask is not Layer.compute_mask
        if "build" in cls.__dict__:
            cls.build = _wrap_build(cls.__dict__["build"])  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        # Reached only by names that are missing; copy and pickle probe for dunders.
        if "built" not in self.__dict__ and not name.startswith("__"):
            raise RuntimeError(
                f"[{type(self).__name__}] call super().__init__() first in __init__()."
                "\n\n"
                "    class MyLayer(Layer):\n"
                "        def __init__(self, units, **kwargs):\n"
                "            super().__init__(**kwargs)     # before anything else\n"
                "            self.units = units"
            )
        found = getattr(type(self), name, None)
        if isinstance(found, property) and found.fget is not None:
            return found.fget(self)  # raised AttributeError; its text says why
        raise AttributeError(no_attribute(self, name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    # -- state -----------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Names of the enclosing layers and the own one: `"sequential/dense"`."""
        return self._path

    @property
    def trainable(self) -> bool:
        """Whether training changes this layer; setting it sets every inner layer."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        _changes.note()
        self._trainable = bool(value)
        for layer in self._sublayers():
            layer.trainable = value

    def _sublayers(self) -> list[Layer]:
        """Layers one step below, in order."""
        return [layer for layer in tracked(self, Layer) if layer is not self]

    def _all_layers(self) -> list[Layer]:
        """This layer and all below it, parents first, each once."""
        found, stack = {}, [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                stack.extend(reversed(layer._sublayers()))
        return list(found.values())

    @property
    def metrics(self) -> list[Any]:
        """Metrics held by this layer and the layers below it."""
        return self._held_metrics()

    def _held_metrics(self) -> list[Any]:
        from fastnn.metrics import Metric

        found: dict[int, Any] = {}
        seen: set[int] = set()
        stack: list[Any] = [self]
        while stack:  # both kinds in one walk: it is part of every train_on_batch
            layer = stack.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                held = tracked(layer, (Layer, Metric))
                if layer is self or not layer._compiles:
                    found |= {id(m): m for m in held if isinstance(m, Metric)}
                stack.extend(x for x in reversed(held) if isinstance(x, Layer))
        return list(found.values())

    # -- losses ----------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar (or a list of scalars) to what training minimises.

        To be called from `call`; the next outermost call starts with no losses.
        """
        from fastnn.autodiff.remat import refuse

        refuse("add_loss", "return the tensor and add the loss outside")
        self._losses.extend(tree.flatten(loss))
        stack = _call.state.stack
        entry = stack[0] if stack else self
        entry._layers_with_losses.value.append(self)

    @property
    def losses(self) -> list[Any]:
        """Losses added by the last call, then the regularization losses, as scalars."""
        added = [loss for layer in self._all_layers() for loss in layer._losses]
        return added + [
            variable.regularizer(variable)
            for variable in self._trained()
            if variable.regularizer is not None
        ]

    def _trained(self) -> list[Variable]:
        """`trainable_weights`; a model in the middle of `fit` knows them."""
        return self.trainable_weights

    def _clear_losses(self) -> None:
        for layer in self._layers_with_losses.value:
            layer._losses.clear()
        self._layers_with_losses.value.clear()

    # -- build -----------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Makes the weights; called once, before the first `call`.

        Args:
            input_shape: `(None, ...)` for one input, a structure of shapes for several.
        """
        self._build_shape = input_shape
        self.built = True

    def _run_build(
        self, build: Any, shapes: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        """Runs a `build` method; when it fails, the weights it made are dropped."""
        if self._building:  # super().build() of a subclass
            build(self, *shapes, **named)
            return
        kept = len(self._weights)
        self._building = True
        try:
            with _call.inside(self), init_scope():
                self._path = _call.state.path()
                build(self, *shapes, **named)
        except BaseException:
            del self._weights[kept:]
            self.built = False
            raise
        finally:
            self._building = False
        self._build_shape = _call.bound_shapes(build, shapes, named)
        self.built = True
        self._changed()

    def get_build_config(self) -> dict[str, Any] | None:
        """Input shape that rebuilds the weights, None while there are none."""
        shape = self._build_shape
        if shape is None:
            return None
        if isinstance(shape, _call.Shapes):
            return {"shapes_dict": dict(shape)}
        return {"input_shape": shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shape that `get_build_config` gave."""
        if "shapes_dict" in config:
            shapes = config["shapes_dict"].items()
            self.build(**{name: _as_shapes(shape) for name, shape in shapes})
            return
        shape = config.get("input_shape")
        self.build(_as_shapes(shape))

    def add_weight(
        self,
        shape: Sequence[int] | str | None = None,
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
        **old: Any,
    ) -> Variable:
        """Makes a variable that belongs to this layer.

        Args:
            shape: its shape, () for a scalar.
            initializer: name or object; Glorot uniform for floats, else zeros.
            dtype: the layer's dtype by default.
            trainable: whether training changes it.
            autocast: whether calls read it in the compute dtype.
            regularizer: adds `regularizer(variable)` to `losses`.
            constraint: replaces the value after each update.
            aggregation, overwrite_with_gradient: accepted; there is one device.
            name: last part of its path.

        Returns:
            The variable.
        """
        if isinstance(shape, str):
            raise TypeError(
                f"[add_weight] the first argument is the shape, received {shape!r}: "
                f"write add_weight(shape=..., name={shape!r})."
            )
        if old:
            raise ValueError(configs.unknown_arguments(type(self).add_weight, old))
        shape = tuple(() if shape is None else shape)
        if any(not isinstance(n, (int, np.integer)) or n < 0 for n in shape):
            raise ShapeError(
                f"[{type(self).__name__}] layer '{self.name}' cannot make a weight of "
                f"shape {format_shape(shape)}: every size must be known."
            )
        dtype = dtype or self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        name = name or _names.auto_name("variable")
        variable: Variable = new_weight(
            shape,
            dtype,
            f"layer '{self.name}'",
            lambda: initializers.get(initializer)(shape, dtype=dtype),
            lambda value: Variable(value, None, dtype, trainable, name=name),
        )
        variable.path = f"{self._path}/{name}"
        variable.autocast = autocast
        variable.regularizer = _parts.find("regularizer", regularizer)
        variable.constraint = _parts.find("constraint", constraint)
        self._weights.append(variable)
        return variable

    # -- call ------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; takes `training` as a keyword if it matters."""
        raise NotImplementedError(
            f"[{type(self).__name__}] implement call(self, inputs), the function of "
            "the layer."
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Converts the inputs, builds the layer if needed, and runs `call`.

        `training` reaches every inner layer that takes it.
        """
        call = type(self).call
        if not args:
            args = self._first_argument(call, kwargs)
        if args and type(args[0]) is KerasTensor:
            return _symbolic.call(self, args, kwargs)
        try:
            args = tuple([_call.to_tensors(self, value) for value in args])
        except SymbolicTensorError:  # one in a list
            return _symbolic.call(self, args, kwargs)
        inputs = args[0] if args else None
        if kwargs:
            kwargs = {k: _call.to_argument(self, v) for k, v in kwargs.items()}
        state = _call.state
        outer_training = state.training
        training = kwargs.pop("training", None)
        mask = None
        if kwargs or type(inputs) is not Tensor or inputs._keras_mask is not None:
            mask = _masks.given(self, args, kwargs)
        if kwargs and _symbolic.holds_symbols(kwargs):
            given = {} if training is None else {"training": training}
            return _symbolic.call(self, args, {**kwargs, **given})
        if training is None:
            training = outer_training
            if training is None and learning_phase():
                training = True
        if training is not None and _call.takes_argument(call, "training"):
            kwargs["training"] = training
        if not self.built:
            self._build_for(args, kwargs)
        if self.input_spec is not None:
            check_inputs(self, self.input_spec, tree.flatten(inputs))
        if not state.stack:
            self._clear_losses()
        state.stack.append(self)
        state.training = training
        engine, outer_cast = self._read_weights_in_compute_dtype()
        try:
            if self._remat_mode is None:
                outputs = _call.function_of(self, engine.tracer)(*args, **kwargs)
            else:
                from fastnn.layers import _remat

                outputs = _remat.call(self, args, kwargs)
            if self.activity_regularizer is not None:
                _call.add_activity_losses(self, outputs)
        except Exception as error:
            error.add_note(_call.describe(self, inputs))
            raise
        finally:
            engine.autocast = outer_cast
            state.stack.pop()
            state.training = outer_training
        if mask is not None or self._makes_masks:
            _masks.hand_on(self, inputs, outputs, mask)
        return outputs

    def _first_argument(self, call: Any, kwargs: dict[str, Any]) -> tuple[Any, ...]:
        first = _call.parameters(call)[1:2]
        return tuple(kwargs.pop(name) for name in first if name in kwargs)

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if args and args[0] is not None:
            if self.input_spec is not None:
                check_inputs(self, self.input_spec, tree.flatten(args[0]))
            _call.build_for(self, args, kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Masks of the outputs: a bool tensor, a structure of them, or None.

        Asked of layers with `supports_masking`. The default passes the mask on.

        Args:
            inputs: what the layer was called on.
            previous_mask: the mask of the inputs, or None.
        """
        return previous_mask

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs, without a record of the call.

        The shapes follow from `compute_output_shape` for the layers of fastnn, and from
        a trace of `call` for others.
        """
        return _symbolic.specs(self, args, kwargs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the outputs for a shape of the inputs; None is the open batch.

        The default calls the layer on zeros; built-in layers compute it.
        """
        return _call.probe_output_shape(self, input_shape)

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Arguments that make this layer again; subclasses add theirs.

        A subclass whose own arguments are plain values needs no `get_config`.
        """
        base = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self._dtype_policy),
        }
        cls = type(self)
        if cls.get_config is not Layer.get_config or cls.__init__ is Layer.__init__:
            return base
        return configs.automatic_config(self, self._init_arguments.value, base)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """Makes a layer, without weights, from what `get_config` returned."""
        return cls(**config)


def _as_shapes(node: Any) -> Any:
    """Shapes as tuples again, which JSON makes lists, alone or in a list or dict."""
    if isinstance(node, dict):
        return {key: _as_shapes(value) for key, value in node.items()}
    if isinstance(node, list) and not any(isinstance(n, (list, dict)) for n in node):
        return tuple(node)
    return [_as_shapes(n) for n in node] if isinstance(node, list) else node
