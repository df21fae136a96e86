# SPDX-License-Identifier: Apache-2.0
"""A recurrent layer that goes along a sequence in both directions."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.layers import _call
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

MODES = ("sum", "mul", "ave", "concat", None)


@export("keras.layers")
class Bidirectional(Layer):
    """Two copies of a recurrent layer, one of which begins at the end.

    Args:
        layer: an `RNN`, or another layer with `go_backwards`, `return_sequences`,
            `return_state`, `stateful` and a config. It is copied, without its weights.
        merge_mode: what becomes of the outputs of both: `"concat"`, `"sum"`, `"mul"`,
            `"ave"`, or None for both of them.
        weights: of both, to start with.
        backward_layer: the other layer; a copy of the first one by default. It must go
            the other way and agree in everything else.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Call arguments: those of the layer; `initial_state` has the states of the first
    layer, then those of the second. With return_sequences the outputs of masked steps
    are 0.

    Raises:
        ValueError: for other merge modes, and layers that do not fit each other.

    Example:
        >>> layer = keras.layers.Bidirectional(keras.layers.LSTM(4))
        >>> layer(np.ones((2, 10, 3))).shape
        (2, 8)
    """

    def __init__(
        self,
        layer: Layer,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        for what, given in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(given, Layer) and (given is not None or what == "layer"):
                raise ValueError(
                    f"[Bidirectional] {what} must be a layer; received {given!r}."
                )
        if merge_mode not in MODES:
            raise ValueError(
                f"[Bidirectional] merge_mode must be one of {MODES}; received "
                f"{merge_mode!r}."
            )
        super().__init__(**kwargs)
        self.forward_layer: Any = _copy(layer, "forward_")
        self.backward_layer = backward_layer
        if backward_layer is None:
            self.backward_layer = _copy(layer, "backward_", go_backwards=True)
        self._check_layers()
        for inner in (self.forward_layer, self.backward_layer):
            if getattr(inner, "zero_output_for_mask", None) is not None:
                inner.zero_output_for_mask = inner.return_sequences
        self.merge_mode = merge_mode
        self.stateful = self.forward_layer.stateful
        self.return_sequences = self.forward_layer.return_sequences
        self.return_state = self.forward_layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec
        self._initial_weights = weights

    def _check_layers(self) -> None:
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ValueError(
                "[Bidirectional] the layers must go in different directions; both have "
                f"go_backwards={first.go_backwards}."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            a, b = getattr(first, name), getattr(second, name)
            if a != b:
                raise ValueError(
                    f"[Bidirectional] both layers must have the same {name}; received "
                    f"{a} and {b}."
                )

    # -- states ----------------------------------------------------------------------

    @property
    def states(self) -> Any:
        """Variables of stateful layers, None before `build`."""
        first, second = self.forward_layer.states, self.backward_layer.states
        return None if first is None or second is None else (*first, *second)

    def reset_state(self) -> None:
        """Sets the states of stateful layers to 0."""
        if not self.stateful:
            raise AttributeError(
                f"[Bidirectional] layer '{self.name}' keeps no state: make its layer "
                "with stateful=True."
            )
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    # -- build and call --------------------------------------------------------------

    def _build_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not self.stateful:
            return super()._build_for(args, kwargs)
        self.build(tuple(args[0].shape))
        return None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._initial_weights:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        options = {"training": training, "mask": mask}
        halves: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            half = len(initial_state) // 2
            halves = (initial_state[:half], initial_state[half:])
        found: list[Any] = []
        for layer, state in zip(
            (self.forward_layer, self.backward_layer), halves, strict=True
        ):
            call = type(layer).call
            given = {k: v for k, v in options.items() if _call.takes_argument(call, k)}
            if state is not None:
                given["initial_state"] = state
            found.append(layer(sequences, **given))
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*found[0][1:], *found[1][1:])
            found = [one[0] for one in found]
        if self.return_sequences:
            found[1] = ops.flip(found[1], axis=1)
        outputs = self._merged(*found)
        if not self.return_state:
            return outputs
        return (*outputs, *states) if self.merge_mode is None else (outputs, *states)

    def _merged(self, y: Any, other: Any) -> Any:
        if self.merge_mode is None:
            return y, other
        if self.merge_mode == "concat":
            return ops.concatenate([y, other], axis=-1)
        if self.merge_mode == "mul":
            return ops.multiply(y, other)
        total = ops.add(y, other)
        return total if self.merge_mode == "sum" else total * 0.5

    # -- shapes ----------------------------------------------------------------------

    def compute_output_shape(
        self, sequences_shape: Any, initial_state_shape: Any = None
    ) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            shape, *rest = shape
            states = (*rest, *rest)
        shapes: Any = tuple(shape)
        if self.merge_mode == "concat":
            shapes = (*shape[:-1], 2 * shape[-1])
        elif self.merge_mode is None:
            shapes = (tuple(shape), tuple(shape))
        if not self.return_state:
            return shapes
        return (*shapes, *states) if self.merge_mode is None else (shapes, *states)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        mask = mask if self.return_sequences else None
        masks = (mask,) if self.merge_mode is not None else (mask, mask)
        return masks if len(masks) > 1 or self.return_state else mask

    # -- config ----------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> Bidirectional:
        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects)
        return cls(**config)


def _copy(layer: Any, prefix: str, **changes: Any) -> Any:
    """The layer made again from its config, without weights."""
    config = serialize_keras_object(layer)
    name = f"{prefix}{layer.name.removeprefix(prefix)}"
    config["config"] = {**config["config"], "name": name, **changes}
    return deserialize_keras_object(config, {type(layer).__name__: type(layer)})
