# SPDX-License-Identifier: Apache-2.0
"""From a model to the bytes of a file."""

from __future__ import annotations

import os
from typing import Any

from fastnn import tree
from fastnn._garbage import Uncollected
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.errors import SerializationError
from fastnn.graph.passes import dce, fold
from fastnn.graph.trace import trace
from fastnn.onnx.export.emitter import CannotExportError, Emitter
from fastnn.onnx.export.open_sizes import Differs, Open, Program, program_of, written
from fastnn.onnx.export.signature import InputSpec, signature_of, specs_of
from fastnn.onnx.export.table import fixed_attributes, writers
from fastnn.onnx.package import DTYPES, onnx_package
from fastnn.saving import atomic

OPSET = 18
OPSETS = range(17, 24)
IR_VERSION = 8  # of onnx 1.10; what opset 18 and later need is raised below
LARGEST = (1 << 31) - 1  # bytes of one protobuf message


def export_model(
    model: Any,
    filepath: str | os.PathLike[str],
    *,
    opset_version: int | None = None,
    input_signature: Any = None,
    verbose: bool | None = None,
    **kwargs: Any,
) -> None:
    """Writes what a model computes outside of training as an ONNX file.

    The batch axis, and every other axis that the model's inputs leave open, is open in
    the file too. Weights are float32 initializers under their paths; images go channels
    first inside, with transpositions only where the layout must change.

    Args:
        model: a built model, or a layer with `input_signature`.
        filepath: the file; it appears whole or not at all.
        opset_version: of ONNX, 17 to 23; by default 18.
        input_signature: a structure of `InputSpec`, `TensorSpec` or arrays, where the
            model does not begin with inputs, or for fixed sizes.
        verbose: print where the file is.
        **kwargs: none are known.

    Raises:
        ImportError: without the package onnx.
        SerializationError: for a call that ONNX cannot hold, naming each op and why.
        NotBuiltError: when the shapes of the inputs are unknown.
    """
    if kwargs:
        raise TypeError(f"[onnx] unknown arguments {sorted(kwargs)}.")
    opset = OPSET if opset_version is None else opset_version
    if opset not in OPSETS:
        raise ValueError(
            f"[onnx] opset_version must be {OPSETS[0]} to {OPSETS[-1]}, received "
            f"{opset_version}"
        )
    proto = model_proto(model, opset, input_signature)
    size = proto.ByteSize()
    if size > LARGEST:
        raise SerializationError(
            f"[onnx] the file would have {size} bytes, an ONNX file at most {LARGEST}"
        )
    atomic.write(filepath, proto.SerializeToString())
    if verbose:
        print(f"Saved ONNX model at '{os.fspath(filepath)}'")


def model_proto(model: Any, opset: int = OPSET, input_signature: Any = None) -> Any:
    """The `ModelProto` of a model; see `export_model`."""
    onnx = onnx_package()
    if not callable(getattr(model, "call", None)):
        raise TypeError(f"[onnx] model must be a Model or a Layer, received {model!r}")
    structure, inputs = signature_of(model, input_signature)
    with Uncollected():
        program, names = _program(model, structure, inputs)
        names = _distinct(names, {spec.name for spec in inputs})
        emitter = Emitter(program, opset, [*names, *(spec.name for spec in inputs)])
        for array, spec in zip(program.inputs, inputs, strict=True):
            emitter.give(array, spec.name)
        _write(model, emitter)
        graph = _graph(emitter, inputs, names, model.name)
        opsets = [onnx.helper.make_opsetid("", opset)]
        version = onnx.helper.find_min_ir_version_for(opsets)
        return onnx.helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=max(version, IR_VERSION),
            producer_name="fastnn",
        )


def _program(
    model: Any, structure: Any, inputs: list[InputSpec]
) -> tuple[Program, Any]:
    results: list[Any] = []

    def call(*tensors: Any) -> Any:
        given = tree.pack_sequence_as(structure, list(tensors))
        found = model(given, training=False)
        results.append(found)
        return tree.map_structure(
            lambda t: None if t is None else convert_to_tensor(t), found
        )

    graphs = []
    for specs in specs_of(inputs):
        graph, _ = trace(call, specs, model.name)
        graph.updates = {}
        fold.run(graph)
        dce.run(graph)
        graphs.append(graph)
    try:
        program = program_of(graphs)
    except Differs as error:
        raise SerializationError(
            f"[onnx] model '{model.name}' has {error} on the open axes of its "
            f"inputs {[s.shape for s in inputs]}: fix sizes with "
            f"input_signature=[InputSpec(shape=...)]"
        ) from None
    return program, _output_names(model, results[0], len(program.outputs))


def _output_names(model: Any, result: Any, count: int) -> list[str]:
    if isinstance(result, dict) and len(result) == count:
        return sorted(result) if list(tree.flatten(result)) else list(result)
    try:
        names = [str(n) for n in model.output_names]
    except (AttributeError, ValueError):
        names = []
    if len(set(names)) == count:
        return names
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _write(model: Any, emitter: Emitter) -> None:
    """Every step by its writer; all that cannot be written is named at once."""
    table = writers()
    failures: dict[str, str] = {}
    for step in emitter.program.steps:
        problem = ""
        if step.op not in table:
            problem = "has no form in ONNX here"
        elif not fixed_attributes(step):
            problem = "has an attribute that depends on the open axes"
        elif not failures:
            try:
                table[step.op](emitter, step)
            except CannotExportError as error:
                problem = f"{error}"
        if problem:
            failures[step.op] = problem
    if failures:
        listed = "; ".join(f"{op}: {problem}" for op, problem in failures.items())
        raise SerializationError(
            f"[onnx] model '{model.name}' cannot be written as ONNX: {listed}"
        )


def _graph(
    emitter: Emitter, inputs: list[InputSpec], names: list[str], title: str
) -> Any:
    helper = onnx_package().helper
    values = []
    for array, name in zip(emitter.program.outputs, names, strict=True):
        end = helper.make_node("Identity", [emitter.name(array)], [name], name=name)
        emitter.nodes.append(end)
        sizes = [_axis(emitter.program, inputs, size) for size in array.shape]
        values.append(helper.make_tensor_value_info(name, DTYPES[array.dtype], sizes))
    nodes = _live(emitter.nodes, names)
    read = _read_by(nodes)
    constants = {k: v for k, v in emitter.constants.items() if k in read}
    emitter.constants = constants
    starts = [
        helper.make_tensor_value_info(s.name, DTYPES[written(s.dtype)], s.axis_names(i))
        for i, s in enumerate(inputs)
    ]
    return helper.make_graph(
        nodes, title, starts, values, initializer=emitter.tensors()
    )


def _distinct(names: list[str], taken: set[str]) -> list[str]:
    """Names of outputs apart from those of inputs."""
    return [f"{name}_out" if name in taken else name for name in names]


def _axis(program: Program, inputs: list[InputSpec], size: Any) -> int | str:
    if not isinstance(size, Open):
        return int(size)
    for i, (array, spec) in enumerate(zip(program.inputs, inputs, strict=True)):
        if size in array.shape:
            return spec.axis_names(i)[array.shape.index(size)]
    return f"size_{size.values[0]}"


def _live(nodes: list[Any], ends: list[str]) -> list[Any]:
    """The nodes that the outputs need, in order."""
    wanted, kept = set(ends), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= _read_by([node])
    return kept[::-1]


def _read_by(nodes: list[Any]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        found.update(node.input)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found |= _read_by(attribute.g.node)
    return found


__all__ = ["export_model", "model_proto"]
