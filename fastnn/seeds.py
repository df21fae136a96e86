# SPDX-License-Identifier: Apache-2.0
"""The process-wide stream of seeds that everything unseeded draws from."""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Callable

import numpy as np

_MASK64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15

_lock = allocate_lock()
_seed: int | None = None
_counter: int = int.from_bytes(os.urandom(8), "little")
# Called after `set_random_seed`: what drew its seed before begins anew.
listeners: list[Callable[[], None]] = []


def _mix(value: int) -> int:
    """SplitMix64 finaliser: neighbouring counters give unrelated seeds."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, NumPy's global generator and fastnn at once.

    Afterwards a program that runs the same steps draws the same numbers, whatever the
    number of threads.

    Args:
        seed: integer in `[0, 2**32 - 1]` (NumPy's range).

    Raises:
        ValueError: when `seed` is not such an integer.

    Example:
        >>> keras.utils.set_random_seed(7)
        >>> first = keras.random.normal((3,))
        >>> keras.utils.set_random_seed(7)
        >>> bool((first.numpy() == keras.random.normal((3,)).numpy()).all())
        True
    """
    global _seed, _counter
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ValueError(f"[set_random_seed] seed must be an integer, got {seed!r}.")
    seed = int(seed)
    if not 0 <= seed < 2**32:
        raise ValueError(f"[set_random_seed] {seed} is outside [0, 2**32 - 1].")
    import random  # costs milliseconds of `import fastnn` at the top

    random.seed(seed)
    np.random.seed(seed)
    with _lock:
        _seed = seed
        _counter = _mix(seed + 1)
    for listener in listeners:
        listener()


def global_seed() -> int | None:
    """The last value given to `set_random_seed`, or None."""
    return _seed


def get_state() -> tuple[int | None, int]:
    """(seed, position) of the process-wide stream, for `set_state`."""
    return _seed, _counter


def set_state(state: tuple[int | None, int]) -> None:
    """Continues the stream where `get_state` was asked."""
    global _seed, _counter
    with _lock:
        _seed, _counter = state


def next_seed() -> int:
    """Draws the next seed, in `[0, 2**63)`, from the process-wide stream.

    The stream follows from `set_random_seed`; before that it starts from entropy.
    """
    global _counter
    with _lock:
        _counter = (_counter + _GOLDEN) & _MASK64
        return _mix(_counter) >> 1


def make_seed(seed: int | None) -> int:
    """`seed` itself as a Python int, or a fresh one when it is None."""
    return next_seed() if seed is None else int(seed)
