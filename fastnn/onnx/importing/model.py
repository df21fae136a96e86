# SPDX-License-Identifier: Apache-2.0
"""The model that an ONNX file becomes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.errors import SerializationError, ShapeError
from fastnn.graph.signatures import TensorSpec
from fastnn.models import Model
from fastnn.onnx.importing.program import Program, graphs_of
from fastnn.onnx.importing.table import constant_places
from fastnn.onnx.package import NAMES
from fastnn.opset._dtypes import is_float


class Header:
    """What a model keeps of its file beside the graph.

    Attributes:
        name: of the graph.
        inputs: name -> spec.
        metadata: see `OnnxModel`.
    """

    def __init__(self, proto: Any) -> None:
        self.name = _identifier(proto.graph.name)
        self.inputs = {value.name: _spec(value) for value in proto.graph.input}
        self.metadata = {
            "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
            "ir_version": proto.ir_version,
            **{p.key: p.value for p in proto.metadata_props},
        }


class OnnxModel(Model):
    """What `import_model` makes. Call it on one input, a list in the order of the
    file, or a dict by names; one output comes alone, several as a list.

    Attributes:
        input_names, output_names: those of the file.
        metadata: producer, versions and properties of the file.
    """

    def __init__(self, program: Program, header: Header, path: str) -> None:
        super().__init__(name=header.name or "onnx_model", autocast=False)
        self._program = program
        self._file = path
        self._specs = [header.inputs[name] for name in program.inputs]
        self.metadata = {"opset": program.opset, **header.metadata}
        frozen = _statistics(program)
        self._weights_by_name: dict[str, Any] = {}
        for name, array in weights_of(program).items():
            self._weights_by_name[name] = self.add_weight(
                array.shape,
                lambda shape, dtype, value=array: convert_to_tensor(value),
                dtype=array.dtype.name,
                trainable=name not in frozen,
                name=_identifier(name) or "weight",
            )
            del program.constants[name]
        self.built = True

    # -- what it takes and gives -------------------------------------------------------

    @property
    def input_names(self) -> list[str]:
        return list(self._program.inputs)

    @property
    def output_names(self) -> list[str]:
        return list(self._program.outputs)

    @property
    def input(self) -> Any:
        """Specs of the inputs."""
        return self._specs[0] if len(self._specs) == 1 else list(self._specs)

    @property
    def inputs(self) -> Any:
        return list(self._specs)

    # -- call --------------------------------------------------------------------------

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The outputs; `training` and `mask` change nothing."""
        values: dict[str, Any] = {
            **self._program.constants,
            **self._weights_by_name,
            **self._matched(inputs, "call"),
        }
        found = self._program.run(values)
        found = [v if isinstance(v, list) else convert_to_tensor(v) for v in found]
        return found[0] if len(found) == 1 else found

    def _matched(self, inputs: Any, where: str) -> Any:
        names = self._program.inputs
        if not isinstance(inputs, dict):
            given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
            if len(given) != len(names):
                raise ValueError(
                    f"[{self.name}] takes {len(names)} inputs ({', '.join(names)}), "
                    f"received {len(tree.flatten(inputs))}"
                )
            inputs = dict(zip(names, given, strict=True))
        if set(inputs) != set(names):
            raise ValueError(
                f"[{self.name}] takes inputs named {names}, received {sorted(inputs)}"
            )
        for spec in self._specs:
            self._check_shape(spec, inputs[spec.name])
        return inputs

    def _check_shape(self, spec: TensorSpec, value: Any) -> None:
        """The batch of a file is often fixed without need, so it is not compared."""
        shape = tuple(value.shape)
        fits = len(shape) == len(spec.shape) and all(
            want in (None, n) for want, n in zip(spec.shape[1:], shape[1:], strict=True)
        )
        if spec.shape and not fits:
            raise ShapeError(
                f"[{self.name}] input {spec.name!r} must have the shape {spec.shape}, "
                f"received {shape}"
            )

    def get_config(self) -> dict[str, Any]:
        raise SerializationError(
            f"[save] model '{self.name}' was made of {self._file}, a graph without a "
            f"config: write it with fastnn.onnx.export_model, or its weights with "
            f"save_weights."
        )


def _identifier(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z_.-]+", "_", name).strip("_")


def _spec(value: Any) -> TensorSpec:
    kind = value.type.tensor_type
    shape = [
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in kind.shape.dim
    ]
    return TensorSpec(shape, NAMES[kind.elem_type], value.name)


def weights_of(program: Program) -> dict[str, np.ndarray]:
    """Constants that are weights: floating, with axes, and not read as a setting."""
    settings: set[str] = set()
    _note_settings(program, settings)
    return {
        name: array
        for name, array in program.constants.items()
        if array.ndim and is_float(array.dtype.name) and name not in settings
    }


def _note_settings(program: Program, found: set[str]) -> None:
    for call in program.calls:
        places = constant_places(call.node.op)
        found.update(n for i, n in enumerate(call.inputs) if i in places)
        for inner in graphs_of(call.node):
            _note_settings(inner, found)


def _statistics(program: Program) -> set[str]:
    """Moving means and variances."""
    found: set[str] = set()
    for call in program.calls:
        if call.node.op == "BatchNormalization":
            found.update(call.inputs[3:5])
    return found
