# SPDX-License-Identifier: Apache-2.0
"""Warnings for outputs that are logits where a loss wants probabilities, or conversely.

Decided when the model is compiled, from the activations of its last layers, so it costs
nothing later. What cannot be known (layers of users, models given by `call`) is silent.
"""

from __future__ import annotations

from typing import Any

from fastnn import tree
from fastnn.errors import warn_user
from fastnn.models.compile_utils import Outputs, is_config, per_output, resolve_loss

# Layers whose output is `activation(...)`; the names of their bases.
_ACTIVATED = {"Activation", "Dense", "EinsumDense", "WindowLayer"}
_HOME = "fastnn.losses.crossentropy"
_PROBABILITIES = ("sigmoid", "softmax")
_EXCLUSIVE = (
    *("categorical_crossentropy", "sparse_categorical_crossentropy"),
    *("CategoricalCrossentropy", "SparseCategoricalCrossentropy"),
)
_NEGATIVE = frozenset(
    """celu elu gelu leaky_relu linear log_sigmoid log_softmax mish selu silu softsign
    tanh tanh_shrink""".split()
)


def warn_of_logits(model: Any, loss: Any) -> None:
    """Warns where a cross-entropy of `loss` does not fit the model's last activation.

    Args:
        model: the model that is compiled.
        loss: as given to `compile`.
    """
    last = _output_layers(model)
    names = model._known_output_names()
    losses = [loss] * len(last)
    if isinstance(loss, (list, tuple, dict)) and not is_config(loss):
        fits = len(loss) == len(last)
        if isinstance(loss, dict):
            fits = loss.keys() <= set(names)
        if not fits or len(names) != len(last):
            return
        losses = per_output(loss, Outputs(len(last), names), "loss")
    for layer, one in zip(last, losses, strict=True):
        from_logits = _wants_logits(one)
        activation = None if from_logits is None else _activation(layer)
        if activation is None:
            continue
        if from_logits and activation in _PROBABILITIES:
            warn_user(
                f"[compile] the loss has from_logits=True, but layer '{layer.name}' "
                f"ends with a {activation}: its outputs are probabilities. Leave "
                "from_logits=True away, or the activation."
            )
        elif activation == "sigmoid" and _kind(one) in _EXCLUSIVE:
            warn_user(
                f"[compile] layer '{layer.name}' ends with a sigmoid, but {_kind(one)} "
                "is for classes that exclude each other: write activation='softmax'; "
                "for several labels per row, loss='binary_crossentropy'."
            )
        elif not from_logits and activation in _NEGATIVE:
            one_output = getattr(layer, "units", None) == 1
            wanted = (
                "sigmoid" if one_output or "binary" in _kind(one).lower() else "softmax"
            )
            warn_user(
                f"[compile] the loss takes probabilities, but layer '{layer.name}' "
                f"ends with activation {activation!r}, whose values leave 0..1: give "
                f"it activation='{wanted}', or the loss from_logits=True."
            )


def _kind(loss: Any) -> str:
    found = resolve_loss(loss)
    return str(getattr(found, "fn", type(found)).__name__)


def _wants_logits(identifier: Any) -> bool | None:
    """`from_logits` of a cross-entropy; None for any other loss."""
    loss = resolve_loss(identifier)
    function = getattr(loss, "fn", None)  # of a loss given by name, or as a function
    if str(getattr(function or type(loss), "__module__", "")) != _HOME:
        return None
    if function is None:
        return getattr(loss, "from_logits", None)
    named = str(getattr(function, "__name__", "")).endswith("_crossentropy")
    return bool(loss._fn_kwargs.get("from_logits")) if named else None


def _output_layers(model: Any) -> list[Any]:
    """The layers that make the outputs, in order, as far as they are known."""
    graph = getattr(model, "_graph", None)
    if graph is not None:
        makers = {slot: step.operation for slot, step, _ in graph.addresses()}
        found = [makers.get(slot.index) for slot in tree.flatten(graph.outputs)]
    else:
        found = model.layers[-1:] if hasattr(model, "pop") else []
    inner = [
        _output_layers(one) if hasattr(one, "_known_output_names") else [one]
        for one in found
    ]
    return [layer for layers in inner for layer in layers]


def _activation(layer: Any) -> str | None:
    """Name of the function that a layer ends with, None where that is not known."""
    bases = {base.__name__ for base in type(layer).__mro__}
    if "Softmax" in bases:
        return "softmax"
    if not type(layer).__module__.startswith("fastnn.") or not bases & _ACTIVATED:
        return None
    function = layer.activation
    if function is None:
        return "linear"
    own = str(getattr(function, "__module__", "")).startswith("fastnn.")
    return str(getattr(function, "__name__", "")) if own else None
