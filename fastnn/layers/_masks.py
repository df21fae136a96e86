# SPDX-License-Identifier: Apache-2.0
"""Masks that travel with tensors from layer to layer.

A mask is a bool tensor, False where a place does not count (a padded step). It is the
attribute `_keras_mask` of the tensor it belongs to. A layer's call gets it as `mask`
when it names that argument, and `compute_mask` says which mask the outputs have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastnn import ops, tree
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import warn_user
from fastnn.layers import _call
from fastnn.symbolic.tensor import KerasTensor

if TYPE_CHECKING:
    from fastnn.layers.layer import Layer


def mask_of(tensor: Any) -> Any:
    """The mask that a tensor carries, or None."""
    return getattr(tensor, "_keras_mask", None)


def put(tensor: Any, mask: Any) -> None:
    """Lets a tensor carry a mask."""
    tensor._keras_mask = mask


@contextmanager
def hidden(*tensors: Any) -> Iterator[None]:
    """Lets tensors carry no masks meanwhile: for inner layers of one that uses them."""
    masks = [mask_of(tensor) for tensor in tensors]
    try:
        for tensor in tensors:
            put(tensor, None)
        yield
    finally:
        for tensor, mask in zip(tensors, masks, strict=True):
            put(tensor, mask)


def attach(tensors: Any, masks: Any) -> None:
    """Lets tensors carry the masks given for them; no mask changes nothing."""
    flat = tree.flatten(masks)
    for tensor, mask in zip(tree.flatten(tensors), flat, strict=False):
        if mask is not None:
            put(tensor, ops.cast(mask, "bool"))


def masks_of(value: Any) -> Any:
    """The masks of one tensor or a structure; None when there is none at all."""
    if isinstance(value, (Tensor, KerasTensor)):
        return mask_of(value)
    if not any(mask_of(leaf) is not None for leaf in tree.flatten(value)):
        return None
    return tree.map_structure(mask_of, value)


def _is_tensors(value: Any) -> bool:
    return any(isinstance(v, (Tensor, KerasTensor)) for v in tree.flatten(value))


def given(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Fills in `mask` (`<name>_mask` where several arguments are tensors) from what the
    tensors carry; returns the mask of the first argument.
    """
    names = _call.parameters(type(layer).call)[1:]
    placed = {**dict(zip(names, args, strict=False)), **kwargs}
    tensors = [
        name
        for name, value in placed.items()
        if name != "mask" and not name.endswith("_mask") and _is_tensors(value)
    ]
    single = len(tensors) == 1
    for name in tensors:
        wanted = "mask" if single else f"{name}_mask"
        if wanted in names and placed.get(wanted) is None:
            found = masks_of(placed[name])
            if found is not None:
                kwargs[wanted] = found
    if kwargs.get("mask") is not None:
        return kwargs["mask"]
    return masks_of(args[0]) if args else None


def hand_on(layer: Layer, inputs: Any, outputs: Any, previous: Any) -> None:
    """Gives the outputs their masks."""
    if not layer.supports_masking:
        if previous is not None and layer._kind == "layer":
            warn_user(
                f"[{type(layer).__name__}] layer '{layer.name}' got an input with a "
                "mask and does not support masking: the layers behind it will not see "
                "the mask. A layer of your own says `self.supports_masking = True`."
            )
        return
    flat = tree.flatten(outputs)
    if all(mask_of(tensor) is not None for tensor in flat):
        return
    masks = layer.compute_mask(inputs, previous)
    if masks is None:
        return
    for tensor, mask in zip(flat, tree.flatten(masks), strict=False):
        if mask is not None and mask_of(tensor) is None:
            put(tensor, mask)
