# SPDX-License-Identifier: Apache-2.0
from typing import Any

from fastnn.opset import OpDef, Spec

def encode_attrs(op: OpDef, attrs: tuple[Any, ...]) -> list[Any]: ...
def infer_specs(
    op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...]
) -> list[Spec]: ...
def scopes_open(change: int = 0) -> int: ...
