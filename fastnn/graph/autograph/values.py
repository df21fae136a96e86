# SPDX-License-Identifier: Apache-2.0
"""Names whose values differ between branches, or that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import tree
from fastnn.autodiff.tensor import Tensor, convert_to_tensor


class Missing:
    """Stands for a name without a value; using it raises."""

    def __init__(self, name: str, why: str) -> None:
        self._name, self._why = name, why

    def error(self) -> UnboundLocalError:
        return UnboundLocalError(
            f"[function] {self._name!r} is used, but {self._why}: give it a value "
            f"before the `if` or the loop"
        )

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self.error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.error()

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __matmul__ = __rmatmul__ = __pow__ = _refuse
    __neg__ = __bool__ = __iter__ = __len__ = __getitem__ = __call__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __array__ = __float__ = __int__ = _refuse


class Split:
    """Marks the place of a value that the branches compute."""


def join_branches(
    sides: list[list[Any]], parts: list[Any], names: Sequence[str]
) -> list[Any]:
    """What each name holds behind an `if` on a tensor.

    Args:
        sides: values of the names in each branch.
        parts: the traced branches (graph/branches.py); their outputs are edited so
            that they have just the values marked.
        names: for errors.

    Returns:
        The values, `Split` in the places of tensors.
    """
    joined: list[Any] = []
    chosen: list[list[Any]] = [[] for _ in parts]
    for name, left, right in zip(names, *sides, strict=True):
        if isinstance(left, Missing) or isinstance(right, Missing):
            joined.append(Missing(name, "only one branch of an `if` gives it one"))
            continue
        try:
            tree.assert_same_structure(left, right)
        except ValueError as error:
            raise ValueError(
                f"[function] {name!r} has another form in each branch of an `if` on a "
                f"tensor: {error}"
            ) from None
        pairs = zip(tree.flatten(left), tree.flatten(right), strict=True)
        marks = []
        for a, b in pairs:
            if a is b or (not _is_tensor(a, b) and _equal(a, b)):
                marks.append(a)
                continue
            a, b = _tensors(name, a, b)
            for k, value in enumerate((a, b)):
                chosen[k].append(value)
            marks.append(Split)
        joined.append(tree.pack_sequence_as(left, marks))
    for part, tensors in zip(parts, chosen, strict=True):
        part.graph.outputs = [part.value_of(t) for t in tensors]
        part.result = tensors
    return joined


def _is_tensor(*values: Any) -> bool:
    return any(isinstance(v, Tensor) for v in values)


def _equal(a: Any, b: Any) -> bool:
    try:
        return type(a) is type(b) and bool(a == b)
    except (TypeError, ValueError):
        return False


def _tensors(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors; a Python number takes the dtype of the tensor beside it."""
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    try:
        found = [
            v
            if isinstance(v, Tensor)
            else convert_to_tensor(v, None if like is None else like.dtype)
            for v in (a, b)
        ]
    except (TypeError, ValueError):
        raise ValueError(
            f"[function] {name!r} is {a!r} in one branch and {b!r} in the other of an "
            f"`if` on a tensor: both must be tensors or numbers, or equal"
        ) from None
    return found[0], found[1]
