# SPDX-License-Identifier: Apache-2.0
"""The nodes of a graph as calls, in order, and how they run."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import FastnnError, ModelFileError
from fastnn.onnx.importing.functions import function_reader
from fastnn.onnx.importing.layout import Grouped, Images, apply_each, plain
from fastnn.onnx.importing.reading import array_of
from fastnn.onnx.importing.table import Node, Reader, readers, takes_images

# AttributeProto.AttributeType -> field.
_FIELDS = {1: "f", 2: "i", 3: "s", 4: "t", 5: "g", 6: "floats", 7: "ints", 8: "strings"}


def opset_of(opsets: Any) -> int:
    """The version of ONNX's own ops, among those of all domains."""
    return next((o.version for o in opsets if o.domain in ("", "ai.onnx")), 1)


class Call:
    """One node: its reader, names of what it reads and gives."""

    __slots__ = ("inputs", "last", "node", "outputs", "read", "where")

    def __init__(
        self,
        read: Reader,
        node: Node,
        inputs: list[str],
        outputs: list[str],
        where: str,
    ) -> None:
        self.read, self.node, self.where = read, node, where
        self.inputs, self.outputs = inputs, outputs
        self.last: list[str] = []  # names that nobody reads after it


class Program:
    """A graph ready to run.

    Args:
        graph: a checked GraphProto.
        opset: version of ONNX's ops in it.
        path: for errors.
        place: of the graph in the file.

    Attributes:
        inputs, outputs: names; inputs without those that have initializers.
        constants: name -> array.
    """

    def __init__(self, graph: Any, opset: int, path: str, place: str = "graph") -> None:
        self._path, self._place, self.opset = path, place, opset
        if graph.sparse_initializer:
            raise self._failure("sparse weights are not read.", "")
        self.constants = {t.name: array_of(t) for t in graph.initializer}
        self.inputs = [v.name for v in graph.input if v.name not in self.constants]
        self.outputs = [v.name for v in graph.output]
        self.calls: list[Call] = []
        self._unknown: dict[str, str] = {}
        for node in graph.node:
            self._add(node)
        if self._unknown:
            error = self._failure(
                "ops that are not known here: " + ", ".join(sorted(self._unknown)), ""
            )
            error.failures = [(p, f"unknown op {o}") for o, p in self._unknown.items()]
            raise error
        if place == "graph":
            self._check_order()
            self._note_last()

    def _failure(self, problem: str, where: str) -> ModelFileError:
        place = f"{self._place}/{where}" if where else self._place
        return ModelFileError(self._path, problem, place)

    def _add(self, proto: Any) -> None:
        where = proto.name or proto.op_type
        read = readers().get(proto.op_type) or self._defined(proto)
        if proto.domain not in ("", "ai.onnx") or read is None:
            self._unknown[f"{proto.domain or 'ai.onnx'}.{proto.op_type}"] = where
            return
        attrs = {a.name: self._attribute(a, where) for a in proto.attribute}
        count = max((i + 1 for i, n in enumerate(proto.output) if n), default=0)
        node = Node(proto.op_type, attrs, self.opset, count)
        self.calls.append(
            Call(read, node, list(proto.input), list(proto.output), where)
        )

    def _defined(self, proto: Any) -> Reader | None:
        place = f"{self._place}/{proto.name or proto.op_type}"

        def build(graph: Any, opsets: Any) -> Program:
            return Program(graph, opset_of(opsets), self._path, place)

        return function_reader(proto, self.opset, build)

    def _attribute(self, proto: Any, where: str) -> Any:
        field = _FIELDS.get(proto.type)
        if proto.ref_attr_name or field is None:
            raise self._failure(f"attribute {proto.name!r} has an unknown type.", where)
        value = getattr(proto, field)
        if field == "t":
            return array_of(value)
        if field == "g":
            place = f"{self._place}/{where}/{proto.name}"
            return Program(value, self.opset, self._path, place)
        if field == "s":
            return value.decode("utf-8", "replace")
        if field == "strings":
            return [v.decode("utf-8", "replace") for v in value]
        return list(value) if field in ("floats", "ints") else value

    # -- checks ----------------------------------------------------------------------

    def _check_order(self, around: tuple[set[str], ...] = ()) -> None:
        """Every name is given once, before it is read.

        Args:
            around: names that the graphs around have given so far.
        """
        own = set(self.inputs) | set(self.constants)
        known = (*around, own)
        for call in self.calls:
            for name in call.inputs:
                if name and not any(name in names for names in known):
                    raise self._failure(
                        f"reads {name!r} before it is given.", call.where
                    )
            for inner in graphs_of(call.node):
                inner._check_order(known)
            for name in call.outputs:
                if name and name in own:
                    raise self._failure(f"gives {name!r} once more.", call.where)
                own.add(name)
        for name in self.outputs:
            if not any(name in names for names in known):
                raise self._failure(f"the output {name!r} is not given.", "")

    def names_read(self) -> set[str]:
        """All names that the calls read, those of graphs inside as well."""
        found: set[str] = set(self.outputs)
        for call in self.calls:
            found.update(call.inputs)
            for inner in graphs_of(call.node):
                found |= inner.names_read()
        return found

    def _note_last(self) -> None:
        later = set(self.outputs)
        for call in reversed(self.calls):
            names = set(call.inputs) | set(call.outputs)
            for inner in graphs_of(call.node):
                names |= inner.names_read()
            call.last = [n for n in names - later if n]
            later |= names

    # -- running ---------------------------------------------------------------------

    def run(self, values: dict[str, Any]) -> list[Any]:
        """The outputs for values of all inputs and constants.

        `values` is changed: what is no longer read leaves it.
        """
        for call in self.calls:
            inputs = [values[n] if n else None for n in call.inputs]
            while inputs and inputs[-1] is None:
                inputs.pop()
            call.node.scope = values
            found = self._one(call, inputs)
            values.update(zip(call.outputs, found, strict=False))
            for name in call.last:
                values.pop(name, None)
        return [plain(values[name]) for name in self.outputs]

    def _one(self, call: Call, inputs: list[Any]) -> tuple[Any, ...]:
        try:
            if not any(
                isinstance(v, (Tensor, Images, Grouped)) for v in inputs
            ) and not call.node.attrs.get("body"):
                with init_scope():  # does not depend on the model's inputs
                    found = call.read(call.node, *inputs)
                    found = found if isinstance(found, tuple) else (found,)
                    return tuple(_plain(plain(v)) for v in found)
            found = _with_images(call, inputs)
        except FastnnError as error:
            error.add_note(f"in node {call.where} ({call.node.op}) of {self._path}")
            raise
        return found if isinstance(found, tuple) else (found,)

    def inside(self, node: Node, given: dict[str, Any]) -> list[Any]:
        """Runs as a graph of a node, which sees the names around it."""
        return self.run({**node.scope, **self.constants, **given})


def _with_images(call: Call, inputs: list[Any]) -> Any:
    """The results, with channels kept last where the op can; see layout.py."""
    how = takes_images(call.node.op)
    if how != "shuffle":
        inputs = [v.first() if isinstance(v, Grouped) else v for v in inputs]
    if any(isinstance(v, Images) for v in inputs):
        if how == "each":
            return apply_each(partial(call.read, call.node), inputs)
        if not how:
            inputs = [plain(v) for v in inputs]
    return call.read(call.node, *inputs)


def graphs_of(node: Node) -> list[Program]:
    return [v for v in node.attrs.values() if isinstance(v, Program)]


def _plain(value: Any) -> Any:
    """A tensor computed from constants as an array."""
    if isinstance(value, Tensor) and value._array is not None:
        return np.asarray(value._array)
    return value
