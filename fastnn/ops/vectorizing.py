# SPDX-License-Identifier: Apache-2.0
"""`vectorize`: functions of single elements, or of small arrays, over whole arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops.arrays import reshape, stack
from fastnn.opset._infer import broadcast_shapes

_CORE = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
_SIGNATURE = re.compile(rf"^\s*{_CORE}(?:\s*,\s*{_CORE})*\s*->\s*{_CORE}.*$")


def _core_axes(signature: str | None) -> list[list[str]] | None:
    """Names of each argument's core axes; None: every argument is a scalar."""
    if signature is None:
        return None
    if not _SIGNATURE.match(signature):
        raise ValueError(
            f"[vectorize] not a signature like '(m,n),(n)->(m)': {signature!r}"
        )
    inputs = re.findall(_CORE, signature.split("->")[0])
    return [re.findall(r"\w+", part) for part in inputs]


def _flat_loop(
    tensors: list[Tensor], cores: list[list[str]]
) -> tuple[tuple[int, ...], list[Tensor]]:
    """The common loop shape, and the tensors with their loop axes as one."""
    sizes: dict[str, int] = {}
    for t, names in zip(tensors, cores, strict=True):
        if t.ndim < len(names):
            raise ShapeError(
                f"[vectorize] an argument of shape {t.shape} has no axes {names}"
            )
        core = t.shape[t.ndim - len(names) :]
        for name, n in zip(names, core, strict=True):
            if sizes.setdefault(name, n) != n:
                raise ShapeError(f"[vectorize] axis {name!r}: {sizes[name]} and {n}")
    lead = [t.shape[: t.ndim - len(c)] for t, c in zip(tensors, cores, strict=True)]
    loop = broadcast_shapes("vectorize", *lead)
    flat = []
    for t, names in zip(tensors, cores, strict=True):
        core = t.shape[t.ndim - len(names) :]
        wide = raw.broadcast_to(t, (*loop, *core))
        flat.append(reshape(wide, (int(np.prod(loop)), *core)))
    return loop, flat


def vectorize(
    pyfunc: Any, *, excluded: Any = None, signature: str | None = None
) -> Any:
    """A function that applies `pyfunc` to every element of its broadcast arguments.

    `pyfunc` is called once per element, in Python: where it is made of ops that
    broadcast anyway, calling it directly is faster.

    Args:
        pyfunc: takes and returns scalar tensors, or what the signature says.
        excluded: positions of arguments that are handed on as they are. Keyword
            arguments always are.
        signature: sizes of small arrays that pyfunc works on, "(m,n),(n)->(m)".

    Raises:
        ValueError: for something that cannot be called, another signature, or no
            elements.
    """
    if not callable(pyfunc):
        raise ValueError(f"[vectorize] pyfunc must be callable, received {pyfunc!r}")
    cores = _core_axes(signature)
    apart = set(excluded or ())

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        own = [i for i in range(len(args)) if i not in apart]
        tensors = [convert_to_tensor(args[i]) for i in own]
        axes = [[] for _ in own] if cores is None else cores
        if len(axes) != len(own):
            raise TypeError(
                f"[vectorize] the signature {signature!r} has {len(axes)} arguments, "
                f"received {len(own)}"
            )
        loop, flat = _flat_loop(tensors, axes)
        if 0 in loop:
            raise ValueError(f"[vectorize] no elements to call with in shape {loop}")
        results = []
        for k in range(int(np.prod(loop))):
            call = list(args)
            for i, t in zip(own, flat, strict=True):
                call[i] = t[k]
            results.append(pyfunc(*call, **kwargs))
        if not isinstance(results[0], tuple):
            return _joined(results, loop)
        return tuple(_joined(parts, loop) for parts in zip(*results, strict=True))

    return vectorized


def _joined(parts: Iterable[Any], loop: tuple[int, ...]) -> Tensor:
    y = stack([convert_to_tensor(p) for p in parts], 0)
    return reshape(y, (*loop, *y.shape[1:]))


__all__ = ["vectorize"]
