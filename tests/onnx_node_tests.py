# SPDX-License-Identifier: Apache-2.0
"""The ONNX project's own node tests, run through the importer.

tools/record_onnx.py records which pass; onnx_files/test_node_tests.py fails when one
no longer does.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fastnn.errors import ModelFileError
from fastnn.onnx import import_model
from fastnn.onnx.importing.functions import function_schema
from fastnn.onnx.importing.table import readers
from fastnn.onnx.package import NAMES

RECORD = Path(__file__).parent / "onnx_files" / "node_tests_passed.txt"


def collect() -> list[Any]:
    """All node tests of the installed package."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.model is not None]


def graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)


def op_types(case: Any) -> set[str]:
    nodes = [node for graph in graphs(case.model.graph) for node in graph.node]
    return {n.op_type if n.domain in ("", "ai.onnx") else n.domain for n in nodes}


def of_numbers(case: Any) -> bool:
    """Whether inputs and outputs are tensors of dtypes that fastnn has."""
    graph = case.model.graph
    kinds = [v.type for v in (*graph.input, *graph.output)]
    return all(
        k.WhichOneof("value") == "tensor_type" and k.tensor_type.elem_type in NAMES
        for k in kinds
    )


def covered(case: Any) -> bool:
    """Whether the importer knows every op of the test and its dtypes."""
    return of_numbers(case) and not unknown(case)


def unknown(case: Any) -> list[str]:
    """Ops of the test that the importer does not know."""
    version = max(
        (o.version for o in case.model.opset_import if not o.domain), default=1
    )
    known = set(readers())
    return sorted(
        op for op in op_types(case) - known if function_schema(op, version) is None
    )


def run(case: Any, path: Path) -> str:
    """Why a test fails; empty when it passes."""
    path.write_bytes(case.model.SerializeToString())
    names = [value.name for value in case.model.graph.input]
    try:
        model = import_model(path)
        for inputs, outputs in case.data_sets:
            given = dict(zip(names, map(_array, inputs), strict=False))
            found = model({k: v for k, v in given.items() if k in model.input_names})
            found = found if isinstance(found, list) else [found]
            for a, b in zip(found, map(_array, outputs), strict=True):
                _compare(a.numpy(), b, case)
    except ModelFileError as error:
        return str(error).partition(": ")[2]
    except Exception as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return ""


def _array(value: Any) -> np.ndarray:
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value)


def _compare(found: np.ndarray, expected: np.ndarray, case: Any) -> None:
    assert found.dtype == expected.dtype, f"{found.dtype} for {expected.dtype}"
    assert found.shape == expected.shape, f"{found.shape} for {expected.shape}"
    if found.dtype.kind not in "fiub":
        found, expected = found.astype("float32"), expected.astype("float32")
    np.testing.assert_allclose(found, expected, rtol=case.rtol, atol=case.atol)


def recorded() -> tuple[str, set[str]]:
    """The version of onnx that was recorded, and the names that passed."""
    version, *names = RECORD.read_text().split()
    return version, set(names)
