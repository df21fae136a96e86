# SPDX-License-Identifier: Apache-2.0
"""How tensors look to other libraries: NumPy, DLPack, the array API standard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._allowance import check_parts

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


class Protocols:
    """The part of Tensor that others ask for."""

    __slots__ = ()

    if TYPE_CHECKING:
        _is_variable: bool
        _remote: Any

        @property
        def ndim(self) -> int: ...

        def _concrete(self, what: str) -> np.ndarray: ...
        def __len__(self) -> int: ...
        def __getitem__(self, key: Any) -> Tensor: ...

    def __iter__(self) -> Any:
        check_parts(len(self), "a tensor")
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        array = self._concrete("np.asarray()")
        if dtype is not None and np.dtype(dtype) != array.dtype:
            return array.astype(dtype)
        return array.copy() if copy else _read_only(array)

    def __dlpack__(self, **options: Any) -> Any:
        """The values for another library, where they lie.

        Raises:
            BufferError: for dtypes that DLPack or NumPy's export does not have
                (bfloat16 on the host), and where the options ask for a copy that is
                not allowed.
        """
        lent = self._lent
        if lent is None or options.get("dl_device") == (1, 0):
            return self._exported("__dlpack__()").__dlpack__(**options)
        array = lent.exported()
        return array.device.export(array.operand, array, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        lent = self._lent
        if lent is not None:
            return 2, lent.array.device.index  # kDLCUDA
        return self._concrete("__dlpack_device__()").__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Where the values lie on a GPU, for libraries without DLPack.

        Raises:
            AttributeError: the tensor is on the host, so that it seems not to have it.
        """
        lent = self._lent
        if lent is None:
            raise AttributeError(
                "[Tensor] __cuda_array_interface__ is for tensors on a GPU"
            )
        array = lent.exported()
        found: dict[str, Any] = array.device.interface(array.operand, array)
        return found

    @property
    def _lent(self) -> Any:
        """What a device holds of a tensor that lives there; None for those of the host,
        and variables, which live there as well.
        """
        return None if self._is_variable else self._remote

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
        """`"cpu"`, or `"gpu:0"`, `"gpu:1"`... for a tensor that lives there."""
        lent = self._lent
        return "cpu" if lent is None else f"gpu:{lent.array.device.index}"

    def to_device(self, device: str, stream: Any = None) -> Tensor:
        """The tensor on a device: itself if it is there, else a copy, through which
        gradients flow. In a traced function nothing moves.

        Args:
            device: `"cpu"`, `"gpu:0"`...; a `Tensor.device`.
            stream: nothing but None.

        Raises:
            ValueError: for another name. BackendError: for a GPU that is not there.
        """
        from fastnn.autodiff.scopes import moved

        if stream is not None:
            raise ValueError(f"[Tensor] stream must be None, received {stream!r}")
        return moved(self, device)

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
