# SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

version: str

class KernelRow(TypedDict):
    name: str
    split: str
    reads: str
    n_out: int
    attrs: str
    family: str

def kernels() -> list[KernelRow]: ...
def launch(
    name: str,
    inputs: Sequence[NDArray[Any]],
    outputs: Sequence[NDArray[Any]],
    attrs: Sequence[float] = ...,
    cost: float = ...,
) -> None: ...
def dtype_codes() -> dict[str, int]: ...
def isa() -> str: ...
def available_isas() -> list[str]: ...
def num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...
def memory_stats() -> dict[str, int]: ...

# slot, byte offset, dtype code, shape, strides in elements
Operand = tuple[int, int, int, Sequence[int], Sequence[int] | None]

class Plan:
    def __init__(self, arena_bytes: int) -> None: ...
    step_barrier: bool
    @property
    def arena_bytes(self) -> int: ...
    def add_instruction(
        self,
        kernel_name: str,
        inputs: Sequence[Operand],
        outputs: Sequence[Operand],
        attrs: Sequence[float] = ...,
        barrier: bool = ...,
    ) -> None: ...
    def bind(self, slot: int, array: NDArray[Any]) -> None: ...
    def run(self, steps: int = ..., threads: int = ...) -> None: ...
    def run_profiled(self, steps: int = ..., threads: int = ...) -> list[float]: ...
    def arena_view(
        self, offset: int, dtype_code: int, shape: Sequence[int]
    ) -> NDArray[Any]: ...
    def instructions(self) -> list[Mapping[str, Any]]: ...
