# SPDX-License-Identifier: Apache-2.0
"""Shape and dtype rules. Those with a `.code` are resolved inside the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.errors import DTypeError, ShapeError
from fastnn.opset._dtypes import is_float, result_type
from fastnn.opset._opdef import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAME, BROADCAST, COMPARE = 1, 2, 3  # rule codes known to autodiff/_launch.pyx

Specs = list[Spec]

_SPOKEN = {"float32": "float", "float64": "double"}  # as TensorFlow calls them


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy broadcasting; ShapeError names the op and the shapes."""
    rank = max((len(s) for s in shapes), default=0)
    out = [1] * rank
    for shape in shapes:
        for axis in range(-len(shape), 0):
            size = shape[axis]
            if size != 1:
                if out[axis] not in (1, size):
                    received = " and ".join(str(s) for s in shapes)
                    raise ShapeError(
                        f"[{name}] shapes {received} cannot be broadcast together: "
                        f"axis {axis} has sizes {out[axis]} and {size}"
                    )
                out[axis] = size
    return tuple(out)


def check_same_dtype(name: str, dtypes: Sequence[str]) -> str:
    """The common dtype; DTypeError shows the two that differ and names `cast`."""
    first = dtypes[0]
    for dtype in dtypes:
        if dtype != first:
            wanted = dtype if result_type(first, dtype) == dtype else first
            other = first if wanted == dtype else dtype
            kind = _SPOKEN.get(wanted, wanted)
            raise DTypeError(
                f"[{name}] operands have dtypes {first} and {dtype}: the {other} one "
                f"was expected to be a {kind} tensor. Tensors are not converted "
                f'silently; use cast(x, "{wanted}") or the promoting fastnn.ops '
                f"functions"
            )
    return first


def elementwise(name: str, *, same: bool = False) -> Callable[[Specs, tuple], Specs]:
    """Output: broadcast shape, common dtype of the inputs."""

    def infer(specs: Specs, attrs: tuple) -> Specs:
        dtype = check_same_dtype(name, [s.dtype for s in specs])
        return [Spec(broadcast_shapes(name, *[s.shape for s in specs]), dtype)]

    infer.code = SAME if same else BROADCAST  # type: ignore[attr-defined]
    return infer


def compare(name: str) -> Callable[[Specs, tuple], Specs]:
    """Output: broadcast shape, bool."""

    def infer(specs: Specs, attrs: tuple) -> Specs:
        check_same_dtype(name, [s.dtype for s in specs])
        return [Spec(broadcast_shapes(name, *[s.shape for s in specs]), "bool")]

    infer.code = COMPARE  # type: ignore[attr-defined]
    return infer


def like(*indices: int) -> Callable[[Specs, tuple], Specs]:
    """Output i has the spec of input indices[i]."""

    def infer(specs: Specs, attrs: tuple) -> Specs:
        return [specs[i] for i in indices]

    return infer


def reduced(
    shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool
) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def reduction(dtype: str | None = None) -> Callable[[Specs, tuple], Specs]:
    """Output of a reduction with attributes (axes, keepdims)."""

    def infer(specs: Specs, attrs: tuple) -> Specs:
        x = specs[0]
        return [Spec(reduced(x.shape, attrs[0], attrs[1]), dtype or x.dtype)]

    return infer


def check_float(name: str, dtype: str) -> None:
    if not is_float(dtype):
        raise DTypeError(
            f'[{name}] needs a float dtype, received {dtype}: cast(x, "float32") first'
        )


def check_rank(name: str, label: str, shape: tuple[int, ...], rank: int) -> None:
    if len(shape) != rank:
        raise ShapeError(f"[{name}] {label} must have rank {rank}, received {shape}")
