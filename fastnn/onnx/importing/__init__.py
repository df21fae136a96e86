# SPDX-License-Identifier: Apache-2.0
"""`import_model`: an ONNX file as a model.

A file is read and checked (`reading.py`), its nodes become calls of a program
(`program.py`), each by its row of a table (`table.py`), and the program runs on
tensors: eagerly, under a tape, or traced into a plan like any other model.
"""

from __future__ import annotations

import os

from fastnn.onnx.importing.model import Header, OnnxModel
from fastnn.onnx.importing.program import Program, opset_of
from fastnn.onnx.importing.reading import read_model
from fastnn.saving.limits import reading


def import_model(
    filepath: str | os.PathLike[str], *, external_data: bool = False
) -> OnnxModel:
    """A model that computes what an ONNX file describes.

    Weights become variables: trainable where they are floating and no statistics of a
    normalization. Axes are those of the file, so images go channels first. The model
    can be called, asked by `predict`, compiled, trained and exported again; it has no
    config, so `save` is by `fastnn.onnx.export_model`.

    Args:
        filepath: the file.
        external_data: read weights that stand in other files of the same folder.

    Raises:
        ImportError: without the package onnx.
        ModelFileError: for a file that cannot be read or does not keep the limits
            (docs/onnx.md), and for ops that are not known here, naming all of them.
    """
    path = os.fspath(filepath)
    with reading(path):
        proto = read_model(path, external_data)
        header = Header(proto)
        program = Program(proto.graph, opset_of(proto.opset_import), path)
        del proto  # a third copy of the weights, beside arrays and variables
        return OnnxModel(program, header, path)


__all__ = ["OnnxModel", "import_model"]
