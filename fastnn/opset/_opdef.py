# SPDX-License-Identifier: Apache-2.0
"""The one record per op: name, shapes, gradient, reference, samples, tolerance.

Everything else is derived from these records: eager execution, the tape, the traced
graph and its plan, the reference backend, the generated tests, benchmarks and docs.
A record names its kernel by string (its own name); it imports no backend.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn import _lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POINTWISE = "pointwise"  # inputs broadcast against each other, one output element each
REDUCE = "reduce"
ROW = "row"  # works on whole rows (softmax, losses, gather)
CONTRACT = "contract"  # matrix products
VIEW = "view"  # no kernel: the output is another view of the input's memory
RANDOM = "random"
UPDATE = "update"  # optimizer steps: outputs are meant to overwrite inputs
HOST = "host"  # no kernel: `ref` runs, on any backend; a plan cannot contain it
KERNELLESS = (VIEW, HOST)

REQUIRED: Any = object()


class Attr(NamedTuple):
    """A static parameter of an op.

    `kind` says how the kernel receives it: "int", "bool", "float" as they are, "axes"
    (sorted tuple of axes) as a bit mask, "dtype" as the ABI code, "enum" as an index
    into `choices`, "ints" (a tuple) as the address of an array, and "static" (shapes,
    permutations) not at all: views and outputs already carry it.
    """

    name: str
    kind: str
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()


class Spec(NamedTuple):
    """Shape and dtype of a value that may not exist yet."""

    shape: tuple[int, ...]
    dtype: str


class Sample(NamedTuple):
    """One test and benchmark case of an op."""

    inputs: tuple[Any, ...]
    attrs: tuple[Any, ...] = ()


class Tol(NamedTuple):
    """Allowed relative error per dtype against the float64 reference; see tests/ops."""

    float32: float
    float64: float
    atol: float = 0.0


EXACT = Tol(0.0, 0.0)


def ulps(n: float) -> Tol:
    """Tolerance of n units in the last place (f32 eps 2^-23, f64 eps 2^-52)."""
    return Tol(n * 1.2e-7, n * 2.3e-16, 1e-44)


class OpDef:
    """The record of one op. Fields are set once, by `op(...)`; see `op` for them."""

    __slots__ = ("__dict__", "handle")
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: tuple[Attr, ...]
    infer: Callable[..., list[Spec]]
    code: int
    kind: str
    ref: Callable[..., Any]
    vjp: Callable[..., Any] | None
    differentiable: bool
    saves: tuple[str, ...]
    inplace: tuple[int, ...]
    samples: Callable[..., Iterator[Sample]]
    tol: Tol
    cost: float | Callable[..., float]
    integers: bool
    broadcast: str
    typical: Callable[..., Sample] | None
    doc: str
    home: str
    handle: Any

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)  # 110 of them are made before the first step
        self.handle = None  # the engine's cached view of this record

    def __repr__(self) -> str:
        attrs = "".join(f", {a.name}=" for a in self.attrs)
        return f"<op {self.name}({', '.join(self.inputs)}{attrs})>"

    def operand_shape(
        self, shape: tuple[int, ...], out: tuple[int, ...]
    ) -> tuple[int, ...]:
        """The shape to which an input is broadcast before the kernel sees it."""
        if self.broadcast == "all":
            return out
        if self.broadcast == "batch" and len(out) > 2:
            return (*out[:-2], *shape[-2:])
        return shape

    def bind_attrs(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Attribute values in record order from positional and keyword arguments."""
        if len(args) > len(self.attrs):
            raise TypeError(
                f"[{self.name}] takes {len(self.inputs)} inputs and "
                f"{len(self.attrs)} attributes, received {len(args)} attributes"
            )
        values = list(args)
        for attr in self.attrs[len(args) :]:
            value = kwargs.pop(attr.name, attr.default)
            if value is REQUIRED:
                raise TypeError(f"[{self.name}] missing attribute {attr.name!r}")
            values.append(value)
        if kwargs:
            known = ", ".join(a.name for a in self.attrs) or "none"
            raise TypeError(
                f"[{self.name}] unknown attributes {sorted(kwargs)}; known: {known}"
            )
        return tuple(values)


_REGISTRY: dict[str, OpDef] = {}


def op(
    name: str,
    *,
    inputs: str,
    infer: Callable[..., list[Spec]],
    kind: str,
    ref: Callable[..., Any],
    samples: Callable[..., Iterator[Sample]],
    tol: Tol,
    outputs: str = "y",
    attrs: tuple[Attr, ...] = (),
    vjp: Callable[..., Any] | None = None,
    differentiable: bool | None = None,
    saves: tuple[str, ...] = (),
    inplace: tuple[int, ...] = (),
    cost: float | Callable[..., float] = 0.25,
    integers: bool = False,
    broadcast: str = "",
    typical: Callable[..., Sample] | None = None,
    doc: str = "",
) -> OpDef:
    """Register an op.

    Args:
        name: the op's and its kernel's name.
        inputs, outputs: space-separated names, used by `vjp` and `saves`.
        infer: `infer(specs, attrs) -> [Spec]`, raises ShapeError/DTypeError. May carry
            `.code`, a rule the engine resolves without calling Python.
        kind: one of the constants above; decides launch shape, fusion and views.
        ref: `ref(*arrays, *attrs)` in NumPy: the living definition and test oracle.
        samples: `samples(rng, dtype)` yields `Sample`s for tests and benchmarks.
        tol: allowed error against `ref` in float64.
        attrs: static parameters in the order the kernel receives them.
        vjp: `vjp(c, *cotangents)`, one gradient or None per input, written with ops.
        differentiable: False for an op from floats to floats that has no gradient on
            purpose; the registry test asks all others for a `vjp`. Updates have none.
        saves: the inputs and outputs that `vjp` reads; nothing else is kept alive.
        inplace: for output i, the index of the input it may overwrite (-1: none).
        cost: work per output element in ns on one core, or
            `cost(in_specs, out_specs, attrs)`; decides about threads only.
        integers: the kernel takes them too; else `fastnn.ops` casts to floatx().
        broadcast: "all" axes (pointwise ops), all but two ("batch"), or none.
        typical: `typical(rng, dtype)`, a sample of the size that training meets: the
            selftest times it, or else an enlarged one of `samples`.
        doc: one line: the formula and its source.
    """
    fields = locals() | {
        "inputs": tuple(inputs.split()),
        "outputs": tuple(outputs.split()),
        "code": getattr(infer, "code", 0),
        "broadcast": broadcast or ("all" if kind == POINTWISE else ""),
        "home": _registering_module(),
    }
    if differentiable is None:
        fields["differentiable"] = kind != UPDATE
    if name in _REGISTRY:
        raise ValueError(f"[op] {name!r} is registered twice")
    record = OpDef(**fields)
    _REGISTRY[name] = record
    return record


def _registering_module() -> str:
    """The module whose import registers a record, through however many helpers."""
    frame = sys._getframe(2)
    while frame.f_code.co_name != "<module>" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals["__name__"]


def get_op(name: str) -> OpDef:
    """The record called `name`; KeyError if there is none."""
    record = _REGISTRY.get(name)
    if record is None:
        _lazy.load("opset", name)
        record = _REGISTRY.get(name)
    return all_ops()[name] if record is None else record


def all_ops() -> dict[str, OpDef]:
    """Every record by name, in alphabetical order."""
    _lazy.submodules("opset")
    return dict(sorted(_REGISTRY.items()))
