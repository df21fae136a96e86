# SPDX-License-Identifier: Apache-2.0
"""What a plan asks of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import numpy as np

    from fastnn.backends.cuda.launches import Launch, Operand, Task


class Memory(NamedTuple):
    """A block of device memory; it lives as long as `owner`."""

    address: int
    nbytes: int
    owner: Any


class Mark(Protocol):
    """A place in the work of a device."""

    def synchronize(self) -> None:
        """Waits until the work has come there."""


class Device(Protocol):
    """Memory and a stream of work, in order.

    Attributes:
        index: the number in "gpu:0".
        shared_bytes: shared memory that one block may have.
    """

    index: int
    shared_bytes: int

    def allocate(self, nbytes: int) -> Memory:
        """Memory of undefined contents."""

    def upload(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes of a contiguous array to the device; `array` is free afterwards."""

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes into a contiguous array; waits for all work before."""

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """Bytes from one address of the device to another, in the order of the work."""

    def free(self) -> int:
        """Bytes that can still be allocated."""

    def pinned(self, nbytes: int) -> np.ndarray:
        """Page-locked bytes of the host."""

    def send(self, to: int, array: np.ndarray, after: Mark) -> Mark:
        """Copies page-locked bytes once the work has come to `after`, beside what else
        the device does; work that is put on it from now on comes later. `array` is free
        when the mark is passed.
        """

    def mark(self) -> Mark:
        """The end of the work so far."""

    def synchronize(self) -> None:
        """Waits for all work."""

    def release(self) -> None:
        """Gives memory that nobody holds back to the system."""

    def export(self, operand: Operand, owner: Any, **options: Any) -> Any:
        """A DLPack capsule of an operand, whose memory `owner` keeps."""

    def interface(self, operand: Operand, owner: Any) -> dict[str, Any]:
        """What `__cuda_array_interface__` says of an operand."""

    def adopt(self, x: Any) -> tuple[Memory, Operand]:
        """The memory of another library's array (DLPack), and the array in it."""

    def prepare(self, launches: Sequence[Launch]) -> None:
        """Compiles the kernels that are not there yet, in one module."""

    def program(self, tasks: Sequence[Task]) -> Callable[[int], None]:
        """Compiles what the tasks need; a call puts all of them on the stream, so many
        times.
        """

    def execute(self, tasks: Sequence[Task]) -> None:
        """Puts the tasks on the stream once."""
