# SPDX-License-Identifier: Apache-2.0
"""How tensors look to other libraries: NumPy, DLPack, the array API standard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


class Protocols:
    """The part of Tensor that others ask for."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def ndim(self) -> int: ...

        def _concrete(self, what: str) -> np.ndarray: ...

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = self._concrete("np.asarray()")
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else _read_only(array)

    def __dlpack__(self, **options: Any) -> Any:
        """The values for another library, without a copy where NumPy needs none.

        Raises:
            BufferError: for dtypes that DLPack or NumPy's export does not have
                (bfloat16), and where the options ask for a copy that is not allowed.
        """
        return self._exported("__dlpack__()").__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._concrete("__dlpack_device__()").__dlpack_device__()

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        """`fastnn.array_api`, the functions for these arrays (array API standard).

        Raises:
            ValueError: for a version of the standard before 2021.12 or after 2024.12.
        """
        from importlib import import_module

        known = ("2021.12", "2022.12", "2023.12", "2024.12")
        if api_version is not None and api_version not in known:
            raise ValueError(
                f"[Tensor] api_version must be one of {', '.join(known)}, received "
                f"{api_version!r}"
            )
        return import_module("fastnn.array_api")

    @property
    def device(self) -> str:
        return "cpu"

    def to_device(self, device: str, stream: Any = None) -> Self:
        """The tensor; there is no other device.

        Raises:
            ValueError: for another one.
        """
        if device != "cpu":
            raise ValueError(f"[Tensor] the only device is 'cpu', received {device!r}")
        return self

    @property
    def mT(self) -> Tensor:  # noqa: N802  (the standard's name)
        """The last two axes exchanged."""
        from fastnn.autodiff import raw

        n = self.ndim
        return raw.transpose(self, (*range(n - 2), n - 1, n - 2))

    def _exported(self, what: str) -> np.ndarray:
        """The array itself, lent to somebody else for as long as they like."""
        return self._concrete(what)


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view
