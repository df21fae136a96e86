# SPDX-License-Identifier: Apache-2.0
"""`export_model`: a model's inference call as an ONNX file.

The call is traced with three sets of sizes for its open axes (`open_sizes.py`), and
each op of the program is written by its row of a table (`table.py`).
"""

from __future__ import annotations

from fastnn.onnx.export.model import export_model

__all__ = ["export_model"]
