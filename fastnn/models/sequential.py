# SPDX-License-Identifier: Apache-2.0
"""Sequential: a stack of layers, each fed by the one before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from fastnn import dtype_policies
from fastnn._registry import export
from fastnn.errors import NOT_BUILT, NotBuiltError, ShapeError
from fastnn.layers import _call, _masks
from fastnn.layers._symbolic import by_rule
from fastnn.layers.input import InputLayer
from fastnn.layers.input_spec import InputSpec, check_shape
from fastnn.layers.layer import Layer
from fastnn.models.functional import conform
from fastnn.models.model import Model
from fastnn.serialization import deserialize_keras_object, serialize_keras_object
from fastnn.symbolic.node import node_of, record
from fastnn.symbolic.tensor import KerasTensor

Shape = tuple[int | None, ...]


@export("keras", "keras.models")
class Sequential(Model):
    """A stack of layers with one input and one output each.

    With an `Input` (or `input_shape=` of the first layer) the weights exist at once;
    otherwise they are made by `build` or by the first data.

    Args:
        layers: the layers, or None to `add` them later.
        trainable: whether training changes the weights.
        name: unique name, `"sequential"` and a number by default.

    Example:
        >>> dense = keras.layers.Dense
        >>> model = keras.Sequential(
        ...     [keras.Input((784,)), dense(300, activation="relu"), dense(10)]
        ... )
        >>> model.count_params()
        238510
    """

    _orders = False  # `add` appends to one list

    def __init__(
        self,
        layers: Iterable[Layer | KerasTensor] | None = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._layers: list[Layer] = []
        self._symbols = Symbols()
        self._output_shape: Shape | None = None
        self._declared = True  # whether an Input says the shape, or the build
        if isinstance(layers, Layer):
            raise TypeError(
                f"[Sequential] expected a list of layers, received {layers!r}: write "
                "Sequential([layer, ...])."
            )
        taken: set[str] = set()
        for layer in layers or ():
            taken.add(self._add(layer, taken))
        if not trainable:
            self.trainable = False

    # -- composition -----------------------------------------------------------------

    def add(self, layer: Any) -> None:
        """Puts a layer on top; it is built at once when the input shape is known.

        The first may be what `Input` gives.

        Raises:
            ValueError: for what is no layer, a second input, or a name that is taken.
            ShapeError: when the layer does not fit the output below it.
        """
        self._add(layer, {other.name for other in self._layers})

    def _add(self, layer: Any, taken: set[str]) -> str:
        """`add` beside layers of the names `taken`; its own name."""
        layer = _declaring(layer)
        self._check_addable(layer, taken)
        self._place(layer)
        return cast("str", layer.name)

    def _place(self, layer: Layer) -> None:
        self._changed()
        if isinstance(layer, InputLayer):
            self._layers.append(layer)
            self._set_input(layer)
            return
        if not self._layers and (shape := _declared_shape(layer)) is not None:
            source = InputLayer(batch_shape=shape, dtype=_input_dtype(layer, self))
            self._layers.append(source)
            self._set_input(source)
        if self._output_shape is None:
            self._layers.append(layer)
            return
        try:
            shape = self._stack(layer, self._output_shape)
        except BaseException:
            if len(self._layers) == 1 and layer._declared_input_shape is not None:
                self._forget_input()
            raise
        self._layers.append(layer)
        self._output_shape = shape
        self._symbols.extend(self._layers, [shape])
        self.built = True

    def _check_addable(self, layer: Any, taken: set[str]) -> None:
        if not isinstance(layer, Layer):
            hint = ""
            if isinstance(layer, type) and issubclass(layer, Layer):
                hint = f" Make an instance: {layer.__name__}(...)."
            raise ValueError(
                "[Sequential.add] only layers can be added, received "
                f"{layer!r} ({type(layer).__name__}).{hint}"
            )
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(
                f"[Sequential.add] an input must come first; '{self.name}' has "
                f"{len(self.layers)} layers already."
            )
        if layer.name in taken:
            raise ValueError(
                f"[Sequential.add] '{self.name}' already has a layer called "
                f"'{layer.name}'; names must be unique: {type(layer).__name__}(..., "
                "name=...)."
            )

    def pop(self) -> Layer:
        """Takes the top layer off and returns it.

        Raises:
            ValueError: when there is none.
        """
        if not self.layers:
            raise ValueError(f"[Sequential.pop] '{self.name}' has no layers.")
        layer = self._layers.pop()
        del self._symbols.tensors[len(self._layers) :]
        if self.layers:
            if self._output_shape is not None:
                self._output_shape = self._shape_after(
                    self._layers[1:], self.input_shape
                )
        else:
            self.built = False
            self._output_shape = self._layers[0].batch_shape if self._layers else None
        self._reset_compilation()
        return layer

    def _set_input(self, source: InputLayer) -> None:
        self._output_shape = source.batch_shape
        self._build_shape = source.batch_shape
        if self._declared or source.batch_shape[-1] == 1:
            spec = _spec_of(source.batch_shape)
        else:
            spec = InputSpec(ndim=len(source.batch_shape))
        self.input_spec = spec

    def _open_axes(self, shape: Shape) -> None:
        """Axes seen with several sizes are open: the layers took them.

        Not where a layer's `compute_output_shape` wants the sizes: the first ones stay.
        """
        source = self._layers[0]
        pairs = zip(source.batch_shape, shape, strict=True)
        opened = tuple(m if m == n else None for m, n in pairs)
        if opened == source.batch_shape:
            return
        try:
            output = self._shape_after(self._layers[1:], opened)
        except Exception:
            return
        name, dtype = source.name, source.dtype
        self._layers[0] = source = InputLayer(
            batch_shape=opened, dtype=dtype, name=name
        )
        self._symbols.tensors.clear()
        self._set_input(source)
        self._output_shape = output

    def _forget_input(self) -> None:
        del self._layers[:1]
        self._symbols.tensors.clear()
        self._output_shape = self._build_shape = self.input_spec = None

    def _stack(self, layer: Layer, shape: Shape) -> Shape:
        """Builds a layer for an input shape; returns its output shape."""
        _check_fits(layer, shape)
        if not layer.built:
            with _call.inside(self):
                layer.build(shape)
        result = layer.compute_output_shape(shape)
        if not isinstance(result, tuple):
            raise ShapeError(
                f"[Sequential] layer '{layer.name}' must have one output; its output "
                f"shape is {result!r}."
            )
        return result

    def _shape_after(self, layers: Sequence[Layer], shape: Shape) -> Shape:
        for layer in layers:
            shape = layer.compute_output_shape(shape)
        return shape

    # -- build and call --------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights for an input shape with its batch axis, `(None, 784)`."""
        if input_shape is None:
            if self.built:
                return
            raise NotBuiltError(
                NOT_BUILT.format(method="build", name=self._described())
            )
        if not self.layers:
            raise ValueError(
                f"[Sequential.build] '{self.name}' has no layers: add one first."
            )
        if self.built:
            check_shape(self, _spec_of(self.input_shape), input_shape)
            return
        shape = tuple(input_shape)
        first = self._layers[0]
        self._declared = isinstance(first, InputLayer)
        if isinstance(first, InputLayer):
            check_shape(self, self.input_spec, shape)
            shape, source = first.batch_shape, first
        else:
            source = InputLayer(batch_shape=shape, dtype=_input_dtype(first, self))
        shapes = []
        for layer in self.layers:
            shape = self._stack(layer, shape)
            shapes.append(shape)
        if first is not source:
            self._layers.insert(0, source)
        self._set_input(source)
        self._output_shape = shape
        self._symbols.extend(self._layers, shapes)
        self.built = True

    @property
    def _listed_layers(self) -> list[Layer]:
        return self.layers

    def _builds_itself(self) -> bool:
        return True

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.layers:
            self.built = True  # an empty stack is the identity
            return
        super()._build_for(args, kwargs)
        self._build_shape = self._layers[0].batch_shape

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        layers, shape = self._layers, inputs.shape
        if layers and isinstance(layers[0], InputLayer):
            source = layers[0]
            inputs = conform(inputs, source.batch_shape, source.dtype)
            layers, shape = layers[1:], inputs.shape
        if mask is not None:
            _masks.attach(inputs, mask)
        with _call.training_as(training):
            for layer in layers:
                inputs = layer(inputs)
        if not self._declared:
            self._open_axes(shape)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shape = tuple(input_shape)
        for layer in self.layers:
            _check_fits(layer, shape)
            shape = layer.compute_output_shape(shape)
        return shape

    def _described(self) -> str:
        return f"Sequential '{self.name}'"

    @property
    def input_shape(self) -> Shape:
        """Shape of the input with the batch axis.

        Raises:
            NotBuiltError: when it is not known yet.
        """
        if not self._layers or not isinstance(self._layers[0], InputLayer):
            text = NOT_BUILT.format(method="input_shape", name=self._described())
            raise NotBuiltError(text)
        return self._layers[0].batch_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of the output with the batch axis.

        Raises:
            NotBuiltError: when it is not known yet.
        """
        if self._output_shape is None:
            text = NOT_BUILT.format(method="output_shape", name=self._described())
            raise NotBuiltError(text)
        return self._output_shape

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list.

        Raises:
            NotBuiltError: when its shape is not known yet.
        """
        return self._ends("inputs")[:1]

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list.

        Raises:
            NotBuiltError: when the input shape is not known yet.
        """
        return self._ends("outputs")[-1:]

    @property
    def input(self) -> KerasTensor:
        """The symbolic input, which `Model(inputs, ...)` takes."""
        return self.inputs[0]

    @property
    def output(self) -> KerasTensor:
        """The symbolic output of the last layer."""
        return self.outputs[0]

    @property
    def input_names(self) -> list[str]:
        """Name of the input, in a list."""
        return [tensor.name for tensor in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """Name of the last layer, in a list."""
        return [layer.name for layer in self._layers[-1:]]

    def _ends(self, what: str) -> list[KerasTensor]:
        if not self._layers or not isinstance(self._layers[0], InputLayer):
            text = NOT_BUILT.format(method=what, name=self._described())
            raise NotBuiltError(text)
        return self._symbols.extend(self._layers)

    def _known_output_names(self) -> list[str]:
        return self.output_names

    # -- data ------------------------------------------------------------------------

    def _conform_x(self, x: Any, where: str) -> Any:
        """One array of the declared rank.

        Raises:
            ShapeError: naming the expected and the received shape.
        """
        if isinstance(x, (list, tuple, dict)):
            arrays = list(x.values()) if isinstance(x, dict) else list(x)
            if len(arrays) != 1:
                raise ShapeError(
                    f"[{where}] Sequential '{self.name}' has one input, received "
                    f"{len(arrays)} arrays. Samples in one array are np.stack(arrays); "
                    f"targets come after them: {where}(x, y)."
                )
            return self._conform_x(arrays[0], where)
        if not self._layers or not isinstance(self._layers[0], InputLayer):
            return x
        check_shape(self, self.input_spec, x.shape, where=where)
        rank, wanted = x.ndim, len(self.input_shape)
        if rank == wanted:
            return x
        return x.reshape((*x.shape, 1) if rank < wanted else x.shape[:-1])

    def _outputs_for(self, x: Any) -> KerasTensor:
        if self._output_shape is not None:
            return KerasTensor(self._output_shape)
        return KerasTensor(self.compute_output_shape((None, *x.shape[1:])))

    def _ensure_built(self, x: Any) -> None:
        if not self.built:
            self.build((None, *x.shape[1:]))

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self.dtype_policy),
            # Without an input that nobody declared: its sizes are those of the build.
            "layers": [
                serialize_keras_object(layer)
                for layer in (self._layers if self._declared else self.layers)
            ],
        }
        if self.built and self._layers:
            config["build_input_shape"] = self._layers[0].batch_shape
        return config

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Sequential:
        """Makes the model, with new weights, from what `get_config` returned."""
        config = dict(config)
        shape = config.pop("build_input_shape", None)
        layers = [
            deserialize_keras_object(layer, custom_objects)
            for layer in config.pop("layers")
        ]
        model = cls(layers, **config)
        if shape is not None and not model.built and model.layers:
            model.build(tuple(shape))
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        return None  # `build_input_shape` of the config says it


class Symbols:
    """The symbolic tensors between the layers of a stack; a copy makes its own."""

    __slots__ = ("tensors",)

    def __init__(self) -> None:
        self.tensors: list[KerasTensor] = []

    def __reduce__(self) -> Any:
        return Symbols, ()

    def extend(
        self, layers: Sequence[Any], shapes: Sequence[Shape] = ()
    ) -> list[KerasTensor]:
        """The output of each layer; those missing are recorded as calls.

        Args:
            layers: an input and what follows.
            shapes: output shapes of the last layers, as far as they are known.
        """
        found = self.tensors
        if not found:
            found.append(layers[0].output)
        for i, layer in enumerate(layers[len(found) :], len(found) - len(layers)):
            if -i <= len(shapes):
                output = KerasTensor(shapes[i], layer.compute_dtype)
            else:
                output = by_rule(layer, found[-1])
            found.append(record(layer, (found[-1],), {}, output))
        return found


def _spec_of(shape: Shape) -> InputSpec:
    """These sizes, and any batch, as in Keras."""
    return InputSpec(shape=(None, *shape[1:]), allow_last_axis_squeeze=True)


def _declaring(layer: Any) -> Any:
    """The input layer behind what `Input` gave; layers as they are."""
    if not isinstance(layer, KerasTensor):
        return layer
    node = node_of(layer)
    if node is not None and isinstance(node.operation, InputLayer):
        return node.operation
    raise ValueError(
        "[Sequential.add] of symbolic tensors only an Input can be added, received "
        f"{layer!r}: use Model(inputs, outputs) for graphs of layers."
    )


def _check_fits(layer: Layer, shape: Shape) -> None:
    if shape and isinstance(shape[0], (list, tuple)):
        raise ShapeError(
            f"[Sequential] layer '{layer.name}' would get {len(shape)} tensors; give "
            "the layer before it one output (return_state=False), or use keras.Model."
        )
    if not isinstance(layer.input_spec, (list, tuple)):
        check_shape(layer, layer.input_spec, shape)


def _declared_shape(layer: Layer) -> Shape | None:
    """`input_shape=` of a first layer, or the input of a model used as one."""
    if isinstance(layer, Sequential) and layer.built:
        return layer.input_shape
    return layer._declared_input_shape


def _input_dtype(first: Layer, model: Layer) -> str:
    """Layers that read integers (an embedding) say so; others get floats."""
    return getattr(first, "input_dtype", model.compute_dtype)
