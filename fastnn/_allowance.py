# SPDX-License-Identifier: Apache-2.0
"""How many bytes of states, which no file holds, an object from a file may ask for.

Metrics and stateful layers make them of numbers in their configs, before any data has
been seen: `MeanIoU(20_000)` is a line of text and 3 GB. `fastnn.saving` sets the limit.
"""

from __future__ import annotations

from _thread import _local

from fastnn.errors import SerializationError


class _States(_local):
    left: int | None = None  # bytes; None where no file is being loaded


states = _States()


def check_state(size: int, what: str) -> None:
    """Takes `size` bytes of what is left while a model is loaded; else nothing.

    Raises:
        SerializationError: when all states together would be larger than allowed.
    """
    if states.left is None:
        return
    if size > states.left:
        raise SerializationError(
            f"{what} asks for {size} bytes of states; a file may ask for "
            f"{states.left} more."
        )
    states.left -= size


def check_parts(count: int, what: str) -> None:
    """`check_state` for tensors, of which each takes half a kilobyte."""
    check_state(512 * count, f"{what} of {count} parts")


# Of metrics and losses, 29 us each: 400,000 names of a config took 12 s.
_COUNT = 50_000


def check_count(count: int, what: str) -> None:
    """Refuses more than 50,000 parts of something while a model is loaded.

    Raises:
        SerializationError: before they are made.
    """
    if states.left is not None and count > _COUNT:
        raise SerializationError(
            f"{what} has {count} parts; a file may ask for {_COUNT}."
        )
