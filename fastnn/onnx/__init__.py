# SPDX-License-Identifier: Apache-2.0
"""Models as ONNX files, and ONNX files as models.

`export_model` writes what a model computes outside of training; `import_model` makes a
model of a file. Both need the package onnx: `pip install 'fastnn-dl[onnx]'`.
docs/onnx.md lists what is covered.
"""

from __future__ import annotations

from fastnn.onnx.export import export_model
from fastnn.onnx.importing import import_model

__all__ = ["export_model", "import_model"]
