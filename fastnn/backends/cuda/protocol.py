# SPDX-License-Identifier: Apache-2.0
"""What a plan asks of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np

    from fastnn.backends.cuda.launches import Launch, Task


class Memory(NamedTuple):
    """A block of device memory; it lives as long as `owner`."""

    address: int
    nbytes: int
    owner: Any


class Device(Protocol):
    """Memory and a stream of work, in order."""

    def allocate(self, nbytes: int) -> Memory:
        """Memory of undefined contents."""

    def upload(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes of a contiguous array to the device; `array` is free afterwards."""

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes into a contiguous array; waits for all work before."""

    def prepare(self, launches: Sequence[Launch]) -> None:
        """Compiles the kernels that are not there yet, in one module."""

    def program(self, tasks: Sequence[Task]) -> Callable[[], None]:
        """Compiles what the tasks need; a call puts all of them on the stream."""
