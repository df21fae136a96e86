# SPDX-License-Identifier: Apache-2.0
"""Words on the device in which kernels tell of indices that are out of range."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastnn.backends.cuda.launches import NO_FAULT, Fault, Launch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastnn.backends.cuda.launches import Task
    from fastnn.backends.cuda.protocol import Device

WORD = 8


class Faults:
    """A word for each launch that checks indices.

    Args:
        device: where they lie.
        most: how many launches there are at most.
    """

    def __init__(self, device: Device, most: int) -> None:
        self._device = device
        self._memory = device.allocate(WORD * max(most, 1))
        self._used = 0
        self._watched: list[Fault] = []

    def word(self) -> int:
        """The address of the next one."""
        self._used += 1
        return self._memory.address + WORD * (self._used - 1)

    def watch(self, tasks: Iterable[Task]) -> None:
        """These launches are going to run."""
        self._watched = [t.fault for t in tasks if isinstance(t, Launch) and t.fault]
        self._clear()

    def _clear(self) -> None:
        if self._used:
            words = np.full(self._used, NO_FAULT, np.uint64)
            self._device.upload(self._memory, 0, words)

    def check(self) -> None:
        """Waits for all work.

        Raises:
            ValueError: an index was out of range; the message is the CPU's. Of several
                kernels the first is told of, of one kernel the first position.
        """
        if not self._watched:
            return
        words = np.empty(self._used, np.uint64)
        self._device.download(self._memory, 0, words)
        for fault in self._watched:
            word = int(words[(fault.address - self._memory.address) // WORD])
            if word != NO_FAULT:
                self._clear()
                raise ValueError(fault.message(word))
