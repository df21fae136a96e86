# SPDX-License-Identifier: Apache-2.0
"""What every file of arrays looks like to those who load from it.

A format's reader checks all that a file declares before it reads any numbers; what it
found stands in `datasets`. Loaders know no format.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import numpy as np

from fastnn.errors import ModelFileError
from fastnn.saving import limits

_AXES = 64  # NumPy has no more


class Stored:
    """One array of a file: what is declared of it, and its numbers on demand.

    Attributes:
        path: its name; `/` separates groups.
        shape, dtype: of the array; dtype None for what is no array of numbers.
        problem: why it cannot be read, empty when it can.
    """

    def __init__(self, reader: Reader, path: str) -> None:
        self._reader = reader
        self.path = path
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype | None = None
        self.problem = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return 0 if self.dtype is None else math.prod(self.shape) * self.dtype.itemsize

    def fits(self, array: np.ndarray) -> bool:
        """Whether the bytes in the file may be the bytes of an array."""
        same = self.dtype == array.dtype and self.shape == array.shape
        return not self.problem and same and array.flags.c_contiguous

    def read_into(self, array: np.ndarray) -> bool:
        """Reads into an array; False where the numbers do not lie there as in it."""
        raise NotImplementedError

    def read(self) -> np.ndarray:
        """The array, of whatever size the file says.

        Raises:
            ModelFileError: when `problem` says so, bytes are missing, or the arrays
                read so far are larger than the file alone may ask for.
        """
        self._reader.claim(self)
        return self._read()

    def _read(self) -> np.ndarray:
        raise NotImplementedError

    def load_into(self, variable: Any) -> None:
        """Gives a variable its value, read to where it stays.

        One of the variable's shape may be of any size: the model has asked for it.
        """
        if self.shape != tuple(variable.shape):
            variable.assign(self.read().astype(variable.dtype, copy=False))
        elif not self.read_into(variable._buffer()):
            variable.assign(self._read().astype(variable.dtype, copy=False))

    def _new(self) -> np.ndarray:
        if self.problem or self.dtype is None:
            raise self._reader.fail(self.problem, self.path)
        return np.empty(self.shape, self.dtype)


class Reader:
    """A file of arrays, all of whose declarations have been checked.

    Attributes:
        path: of the file, for messages.
        where: archive member, for messages.
        datasets: path -> Stored, of all.
        groups: paths that have arrays below them, or could have.
        total: bytes of all arrays.
        size: of the file.
        whole: reader of all files, where this is one of several.
    """

    def __init__(self, path: object, where: str = "") -> None:
        self.path = path
        self.where = where
        self.datasets: dict[str, Stored] = {}
        self.groups: dict[str, Any] = {}
        self.total = 0
        self.size = 0
        self.whole: Reader | None = None
        self._claimed: set[str] = set()
        self._given = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """No array can be read after this."""

    def require_stored(self) -> None:
        """Refuses arrays that are much larger than the file that holds them.

        For those who take what the file says: weights that a model asks for are
        limited by the model.

        Raises:
            ModelFileError: for arrays beyond the file's size and `limits.GROWTH`.
        """
        self._require(self.total)

    def claim(self, stored: Stored) -> None:
        """Notes that an array is read because the file says so: `require_stored`."""
        if self.whole is not None:
            self.whole.claim(stored)
        elif stored.path not in self._claimed:
            self._claimed.add(stored.path)
            self._given += stored.nbytes
            self._require(self._given)

    def _require(self, total: int) -> None:
        if total > self.size + limits.GROWTH:
            raise self.fail(
                f"{self.size} bytes claim to hold {total}; on its own a file may ask "
                f"for {limits.GROWTH} more than it has. Make the model and call "
                "load_weights, which reads what the model asks for, or save the "
                "arrays without compression."
            )

    def fail(self, problem: str, place: str = "") -> ModelFileError:
        """The error that names file, archive member and path."""
        where = ":".join(part for part in (self.where, place) if part)
        return ModelFileError(self.path, problem, where)

    def names(self, path: str) -> list[str]:
        """Names of the arrays in a group."""
        raise NotImplementedError

    def attribute(self, owner: Any, name: str, place: str = "") -> Any:
        """What is noted of a group; None when there is nothing."""
        del owner, name, place


class FlatReader(Reader):
    """A file whose arrays only have names; `a/b/0` is taken to be in the group `a/b`.

    Attributes:
        metadata: texts that belong to the whole file.
    """

    def __init__(self, path: object, where: str = "") -> None:
        super().__init__(path, where)
        self.metadata: dict[str, str] = {}

    def _index(self, found: Iterable[Stored]) -> None:
        for stored in found:
            group, _, name = stored.path.rpartition("/")
            self.datasets[stored.path] = stored
            self.groups.setdefault(group, []).append(name)
            self.total += 0 if stored.problem else stored.nbytes

    def names(self, path: str) -> list[str]:
        return list(self.groups.get(path, ()))

    def attribute(self, owner: Any, name: str, place: str = "") -> Any:
        del place
        return self.metadata.get(f"{owner}/{name}" if owner else name)


def sound_shape(shape: Any, itemsize: int) -> bool:
    """Whether an array may have this shape: at most 64 axes, less than 2**63 bytes."""
    if not isinstance(shape, (list, tuple)) or len(shape) > _AXES:
        return False
    if any(type(n) is not int or n < 0 for n in shape):
        return False
    return math.prod(n for n in shape if n) * itemsize < 1 << 63
