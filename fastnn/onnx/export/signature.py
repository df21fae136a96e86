# SPDX-License-Identifier: Apache-2.0
"""What an exported model takes: names, shapes with open axes, dtypes."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastnn import tree
from fastnn.errors import NotBuiltError
from fastnn.onnx.export.open_sizes import SIZES, TRACES
from fastnn.opset import Spec


class InputSpec(NamedTuple):
    """One input; None stands for an open axis."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def axis_names(self, index: int) -> list[int | str]:
        """Sizes, and names of open axes; the batch is one axis of all inputs."""
        return [
            size
            if size is not None
            else "batch"
            if axis == 0
            else f"axis_{index}_{axis}"
            for axis, size in enumerate(self.shape)
        ]


def signature_of(model: Any, input_signature: Any) -> tuple[Any, list[InputSpec]]:
    """The structure of the inputs of `model.call`, and a spec for each leaf.

    Args:
        model: a model.
        input_signature: a structure of specs (anything with `shape` and `dtype`), or
            None for the inputs that the model declares.

    Raises:
        NotBuiltError: when nobody has said what the model takes.
    """
    structure = input_signature
    if structure is None:
        structure = _declared(model)
    elif isinstance(structure, (list, tuple)) and len(structure) == 1:
        structure = structure[0]  # one argument
    leaves = tree.flatten(structure)
    names = _names(model, leaves)
    specs = []
    for leaf, name in zip(leaves, names, strict=True):
        if not hasattr(leaf, "shape"):
            raise TypeError(
                f"[onnx] input_signature wants a structure of InputSpec, TensorSpec or "
                f"arrays, received {leaf!r} in it"
            )
        dtype = leaf.dtype if getattr(leaf, "dtype", None) else "float32"
        specs.append(InputSpec(name, tuple(leaf.shape), _dtype_name(dtype)))
    return structure, specs


def _dtype_name(dtype: Any) -> str:
    return getattr(dtype, "name", None) or str(dtype)


def _declared(model: Any) -> Any:
    try:
        return model.input
    except (AttributeError, ValueError):
        pass
    shapes = (model.get_build_config() or {}).get("input_shape")
    if shapes is None:
        raise NotBuiltError(
            f"[onnx] what model '{model.name}' takes is not known: begin it with an "
            f"Input, or give input_signature=[InputSpec(shape=(None, ...))]"
        )

    class _Spec:
        def __init__(self, shape: Any) -> None:
            self.shape = (None, *shape[1:])
            self.dtype = getattr(model, "input_dtype", None) or "float32"

    def build(shapes: Any) -> Any:
        if isinstance(shapes, dict):
            return {k: build(v) for k, v in shapes.items()}
        if shapes and isinstance(shapes[0], (list, tuple)):
            return [build(v) for v in shapes]
        return _Spec(shapes)

    return build(shapes)


def _names(model: Any, leaves: list[Any]) -> list[str]:
    names = [getattr(leaf, "name", None) for leaf in leaves]
    if None in names or len(set(names)) < len(names):
        declared = getattr(model, "_graph", None) and model.input_names
        if declared and len(declared) == len(leaves):
            return list(declared)
        names = [n or f"input_{i}" for i, n in enumerate(names)]
        if len(set(names)) < len(names):
            names = [f"input_{i}" for i in range(len(leaves))]
    return [str(n) for n in names]


def specs_of(inputs: list[InputSpec]) -> list[list[Spec]]:
    """The fixed shapes of each trace.

    Raises:
        ValueError: for more open axes than can be told apart.
    """
    rows: dict[Any, tuple[int, ...]] = {}
    for i, spec in enumerate(inputs):
        for axis, size in enumerate(spec.shape):
            if size is None:
                key = "batch" if axis == 0 else (i, axis)
                if key not in rows and len(rows) == len(SIZES):
                    raise ValueError(
                        f"[onnx] at most {len(SIZES)} axes of a model may be open (the "
                        f"batch of all inputs is one): fix some in input_signature"
                    )
                rows.setdefault(key, SIZES[len(rows)])
    found = []
    for trace in range(TRACES):
        each = []
        for i, spec in enumerate(inputs):
            shape = tuple(
                rows["batch" if axis == 0 else (i, axis)][trace] if n is None else n
                for axis, n in enumerate(spec.shape)
            )
            each.append(Spec(shape, spec.dtype))
        found.append(each)
    return found
