#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What of the Python array API (2024.12) fastnn conforms to: docs/array_api.md.

    python tools/array_api.py            # writes the page
    python tools/array_api.py --check    # exit status 1 unless the page is current

Every function of the standard is called with the arguments in `CALLS` and compared with
NumPy, which conforms: values, shapes and dtypes. REASONS says why what differs differs;
an entry for something that conforms, or none for what does not, is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

PAGE = Path(__file__).resolve().parent.parent / "docs" / "array_api.md"
Call = Callable[[Any, Callable[..., Any]], Any]

F = np.array([[0.5, -0.25, 0.75], [0.125, 0.5, -0.5]])
I = np.array([[5, -3, 2], [1, 4, -7]], "int32")  # noqa: E741
B = np.array([[True, False, True], [False, False, True]])
FLOATS, INTS = ("float32", "float64"), ("int8", "int32", "int64", "uint8")


def _unary(name: str, dtypes: tuple[str, ...], shift: float = 0.0) -> list[Call]:
    def call(dtype: str) -> Call:
        x = (F + shift if dtype in FLOATS else np.abs(I)).astype(dtype)
        return lambda xp, a: getattr(xp, name)(a(B if dtype == "bool" else x))

    return [call(d) for d in dtypes]


def _binary(name: str, dtypes: tuple[str, ...]) -> list[Call]:
    def call(dtype: str) -> Call:
        if dtype == "bool":
            return lambda xp, a: getattr(xp, name)(a(B), a(~B[:1]))
        x = (F + 1 if dtype in FLOATS else np.abs(I)).astype(dtype)
        return lambda xp, a: getattr(xp, name)(a(x), a(x[:1] + x.dtype.type(1)))

    return [call(d) for d in dtypes]


def _scalars(name: str) -> Call:
    return lambda xp, a: getattr(xp, name)(a(F.astype("float32")), 2.0)


def _of(expression: str) -> Call:
    """`a(...)` makes an array of a NumPy array; F, I and B are the ones above."""
    code = compile(expression, expression, "eval")
    names = {"F": F, "F4": F.astype("float32"), "I": I, "B": B, "np": np}
    return lambda xp, a: eval(code, names | {"xp": xp, "a": a})


ANY = (*FLOATS, *INTS)
ELEMENTWISE: dict[str, list[Call]] = {}
for _name in "abs negative positive sign square".split():
    ELEMENTWISE[_name] = _unary(_name, ANY)
for _name in "ceil floor round trunc".split():
    ELEMENTWISE[_name] = _unary(_name, ANY)
for _name in """acos asin atan atanh cos cosh exp expm1 log1p sin sinh sqrt tan tanh
asinh""".split():
    ELEMENTWISE[_name] = _unary(_name, FLOATS, 0.75 if _name == "sqrt" else 0.0)
for _name in "log log2 log10 reciprocal acosh".split():
    ELEMENTWISE[_name] = _unary(_name, FLOATS, 1.75)
for _name in "isfinite isinf isnan signbit".split():
    ELEMENTWISE[_name] = _unary(_name, FLOATS)
for _name in "conj imag real".split():
    ELEMENTWISE[_name] = _unary(_name, FLOATS)
for _name in """add subtract multiply maximum minimum floor_divide remainder equal
not_equal less less_equal greater greater_equal""".split():
    ELEMENTWISE[_name] = [*_binary(_name, ANY), _scalars(_name)]
ELEMENTWISE["pow"] = [*_binary("pow", (*FLOATS, "int32", "int64")), _scalars("pow")]
for _name in "divide atan2 copysign hypot logaddexp nextafter".split():
    ELEMENTWISE[_name] = _binary(_name, FLOATS)
for _name in "bitwise_and bitwise_or bitwise_xor".split():
    ELEMENTWISE[_name] = _binary(_name, (*INTS, "bool"))
for _name in "bitwise_left_shift bitwise_right_shift".split():
    ELEMENTWISE[_name] = _binary(_name, ("int32", "int64", "uint8"))
ELEMENTWISE["bitwise_invert"] = _unary("bitwise_invert", (*INTS, "bool"))
for _name in "logical_and logical_or logical_xor".split():
    ELEMENTWISE[_name] = _binary(_name, ("bool",))
ELEMENTWISE["logical_not"] = _unary("logical_not", ("bool",))
ELEMENTWISE["clip"] = [_of("xp.clip(a(F), -0.25, 0.5)"), _of("xp.clip(a(I), -3, 4)")]

GROUPS: dict[str, dict[str, Any]] = {
    "Constants": {n: [_of(f"xp.{n}")] for n in "e inf nan newaxis pi".split()},
    "Creation": {
        "arange": [_of("xp.arange(5)"), _of("xp.arange(1.0, 3.0, 0.5)")],
        "asarray": [_of("xp.asarray([1.0, 2.0])"), _of("xp.asarray(F)")],
        "empty": [_of("xp.empty((2, 3)).shape")],
        "empty_like": [_of("xp.empty_like(a(I)).shape")],
        "eye": [_of("xp.eye(3, dtype=xp.float32)"), _of("xp.eye(2, 3, k=1)")],
        "from_dlpack": [_of("xp.from_dlpack(F)")],
        "full": [_of("xp.full((2,), 3.5, dtype=xp.float32)")],
        "full_like": [_of("xp.full_like(a(I), 3)")],
        "linspace": [_of("xp.linspace(0.0, 1.0, 5, dtype=xp.float64)")],
        "meshgrid": [_of("xp.meshgrid(a(F[0]), a(F[1]), indexing='ij')")],
        "ones": [_of("xp.ones((2, 3), dtype=xp.int64)"), _of("xp.ones((2,))")],
        "ones_like": [_of("xp.ones_like(a(I))")],
        "tril": [_of("xp.tril(a(F), k=1)")],
        "triu": [_of("xp.triu(a(F), k=1)")],
        "zeros": [_of("xp.zeros((2, 3), dtype=xp.int64)"), _of("xp.zeros((2,))")],
        "zeros_like": [_of("xp.zeros_like(a(F))")],
    },
    "Dtypes": {
        "astype": [_of("xp.astype(a(I), xp.float64)")],
        "can_cast": [_of("xp.can_cast(xp.int32, xp.float64)")],
        "finfo": [_of("float(xp.finfo(xp.float32).eps)")],
        "iinfo": [_of("int(xp.iinfo(xp.int32).max)")],
        "isdtype": [
            _of("xp.isdtype(xp.float32, 'real floating')"),
            _of("xp.isdtype(xp.int8, ('bool', 'integral'))"),
        ],
        "result_type": [
            _of("np.dtype(xp.result_type(xp.int32, xp.int64))"),
            _of("np.dtype(xp.result_type(xp.float32, xp.float64))"),
        ],
    },
    "Elementwise": ELEMENTWISE,
    "Indexing and searching": {
        "take": [_of("xp.take(a(F), a(np.array([2, 0])), axis=1)")],
        "take_along_axis": [
            _of("xp.take_along_axis(a(F), a(np.array([[2], [0]])), axis=1)")
        ],
        "argmax": [_of("xp.argmax(a(F), axis=1)"), _of("xp.argmax(a(F))")],
        "argmin": [_of("xp.argmin(a(F), axis=0, keepdims=True)")],
        "count_nonzero": [_of("xp.count_nonzero(a(I), axis=1)")],
        "nonzero": [_of("xp.nonzero(a(B))")],
        "searchsorted": [_of("xp.searchsorted(a(np.sort(F[0])), a(F[1]))")],
        "where": [_of("xp.where(a(B), a(F), a(-F))")],
        "argsort": [_of("xp.argsort(a(F), axis=1)")],
        "sort": [_of("xp.sort(a(F), axis=0)"), _of("xp.sort(a(I))")],
        **{f"unique_{n}": [_of(f"xp.unique_{n}(a(I))")] for n in ("all", "counts")},
        "unique_inverse": [_of("xp.unique_inverse(a(I))")],
        "unique_values": [_of("np.sort(np.asarray(xp.unique_values(a(I))))")],
    },
    "Manipulation": {
        "broadcast_arrays": [_of("xp.broadcast_arrays(a(F), a(F[0]))")],
        "broadcast_to": [_of("xp.broadcast_to(a(F[0]), (4, 3))")],
        "concat": [_of("xp.concat([a(F), a(F)], axis=1)")],
        "expand_dims": [_of("xp.expand_dims(a(F), axis=1)")],
        "flip": [_of("xp.flip(a(F), axis=1)"), _of("xp.flip(a(I))")],
        "moveaxis": [_of("xp.moveaxis(a(F), 0, 1)")],
        "permute_dims": [_of("xp.permute_dims(a(F), (1, 0))")],
        "repeat": [_of("xp.repeat(a(F), 2, axis=0)")],
        "reshape": [_of("xp.reshape(a(F), (3, 2))")],
        "roll": [_of("xp.roll(a(F), 1, axis=1)")],
        "squeeze": [_of("xp.squeeze(a(F[None]), axis=0)")],
        "stack": [_of("xp.stack([a(F), a(F)], axis=1)")],
        "tile": [_of("xp.tile(a(F), (2, 1))")],
        "unstack": [_of("xp.unstack(a(F), axis=1)")],
    },
    "Linear algebra": {
        "matmul": [_of("xp.matmul(a(F), a(F.T))"), _of("xp.matmul(a(I), a(I.T))")],
        "matrix_transpose": [_of("xp.matrix_transpose(a(F))")],
        "tensordot": [_of("xp.tensordot(a(F), a(F.T), axes=1)")],
        "vecdot": [_of("xp.vecdot(a(F), a(F))")],
    },
    "Statistics and utilities": {
        "cumulative_prod": [_of("xp.cumulative_prod(a(F), axis=1)")],
        "cumulative_sum": [
            _of("xp.cumulative_sum(a(F), axis=1)"),
            _of("xp.cumulative_sum(a(F), axis=1, include_initial=True)"),
        ],
        "max": [_of("xp.max(a(F), axis=1)"), _of("xp.max(a(I))")],
        "mean": [_of("xp.mean(a(F), axis=0)")],
        "min": [_of("xp.min(a(F), axis=1, keepdims=True)")],
        "prod": [_of("xp.prod(a(F), axis=1)"), _of("xp.prod(a(I))")],
        "std": [_of("xp.std(a(F), axis=0)"), _of("xp.std(a(F), correction=1.0)")],
        "sum": [_of("xp.sum(a(F), axis=1)"), _of("xp.sum(a(I))")],
        "var": [_of("xp.var(a(F), axis=0)"), _of("xp.var(a(F), correction=1.0)")],
        "all": [_of("xp.all(a(B), axis=0)")],
        "any": [_of("xp.any(a(B), axis=1)")],
        "diff": [_of("xp.diff(a(F), axis=1)")],
    },
    "Array object": {
        **{
            f"__{n}__": [_of(f"a(F).__{n}__(a(F + 2))"), _of(f"a(F4).__{n}__(2.0)")]
            for n in """add sub mul truediv floordiv mod pow eq ne lt le gt ge radd
            rsub rmul rtruediv""".split()
        },
        **{f"__{n}__": [_of(f"a(B).__{n}__(a(~B))")] for n in "and or xor".split()},
        **{
            f"__{n}__ of integers": [_of(f"a(I).__{n}__(a(np.abs(I)))")]
            for n in "and or xor lshift rshift".split()
        },
        "__matmul__": [_of("a(F).__matmul__(a(F.T))")],
        "__neg__": [_of("a(F).__neg__()")],
        "__pos__": [_of("a(F).__pos__()")],
        "__abs__": [_of("a(F).__abs__()")],
        "__invert__": [_of("a(B).__invert__()")],
        "__invert__ of integers": [_of("a(I).__invert__()")],
        "__bool__": [_of("bool(a(np.array(True)))")],
        "__float__": [_of("float(a(np.array(1.5)))")],
        "__int__": [_of("int(a(np.array(3)))")],
        "__index__": [_of("[5, 6, 7][a(np.array(1))]")],
        "__complex__": [_of("complex(a(np.array(1.5)))")],
        "__getitem__": [_of("a(F)[:, 1:]"), _of("a(F)[..., 0]"), _of("a(F)[a(B)]")],
        "__setitem__": [_of("a(F).__setitem__((0, 0), 7.0)")],
        "__dlpack__": [_of("np.from_dlpack(a(F))")],
        "__dlpack_device__": [_of("tuple(int(n) for n in a(F).__dlpack_device__())")],
        "shape": [_of("a(F).shape")],
        "ndim": [_of("a(F).ndim")],
        "size": [_of("a(F).size")],
        "dtype": [_of("np.dtype(a(F).dtype)")],
        "device": [_of("a(F).device")],
        "to_device": [_of("a(F).to_device('cpu')")],
        "T": [_of("a(F).T")],
        "mT": [_of("a(F).mT")],
    },
}
_BITS = "Keras's `& | ^ ~` on tensors are logical: use `bitwise_and` and its like"
_WIDTH = "Keras's dtype: int32 indices and counts, sums of int32 stay int32"
_DEFAULT = "the default dtypes are Keras's: float32 (`floatx()`) and int32"
REASONS = {
    **dict.fromkeys(("argmax", "argmin", "argsort"), _WIDTH),
    **dict.fromkeys(("count_nonzero", "nonzero", "searchsorted"), _WIDTH),
    **dict.fromkeys(("sum", "prod"), _WIDTH),
    **dict.fromkeys(("arange", "asarray", "ones", "zeros", "eye"), _DEFAULT),
    **dict.fromkeys((f"__{n}__ of integers" for n in ("and", "or", "xor")), _BITS),
    **dict.fromkeys((f"__{n}__ of integers" for n in ("lshift", "rshift")), _BITS),
    "__invert__ of integers": _BITS,
    "__setitem__": "tensors do not change: `ops.where`, `slice_update`, variables",
    "T": "`tf` has none (features 4A): `ops.transpose`",
    **dict.fromkeys(
        ("ceil", "floor", "round", "trunc"),
        "integers become floats, as in Keras",
    ),
}


def equal(ours: Any, theirs: Any) -> str:
    """What differs; "" when nothing does."""
    if isinstance(theirs, (tuple, list)) and not isinstance(ours, (str, np.ndarray)):
        if len(ours) != len(theirs):
            return f"{len(ours)} results instead of {len(theirs)}"
        found = [equal(a, b) for a, b in zip(ours, theirs, strict=True)]
        return next((text for text in found if text), "")
    typed = isinstance(theirs, (np.ndarray, np.generic)) and hasattr(ours, "dtype")
    if typed and str(ours.dtype) != str(theirs.dtype):
        return f"dtype {ours.dtype} instead of {theirs.dtype}"
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape:
        return f"shape {a.shape} instead of {b.shape}"
    if b.dtype.kind in "fc":
        rtol = 1e-5 if b.dtype == np.float32 else 1e-12
        same = np.allclose(a, b, rtol=rtol, atol=1e-12, equal_nan=True)
        return "" if same else "values"
    return "" if np.array_equal(a, b) else "values"


def differences(calls: list[Call]) -> str:
    """What the first call that differs from NumPy's shows."""
    from fastnn import array_api, ops

    for call in calls:
        theirs = call(np, np.asarray)
        try:
            ours = call(array_api, ops.convert_to_tensor)
        except Exception as error:
            return f"{type(error).__name__}"
        text = equal(ours, theirs)
        if text:
            return text
    return ""


def results() -> Iterator[tuple[str, str, str]]:
    """(group, name, what differs) of everything in the standard."""
    for group, rows in GROUPS.items():
        for name, calls in rows.items():
            with np.errstate(all="ignore"):
                found = differences(calls)
            yield group, name, found


def page() -> str:
    """The page.

    Raises:
        SystemExit: where REASONS and what was found do not agree.
    """
    found = list(results())
    unexplained = [f"{n}: {d}" for _, n, d in found if d and n not in REASONS]
    idle = sorted(set(REASONS) - {n for _, n, d in found if d})
    if unexplained or idle:
        sys.exit(f"no reason for: {unexplained}; nothing differs for: {idle}")
    good = sum(not d for _, _, d in found)
    lines = [
        "# The Python array API standard (2024.12)",
        "",
        "`tensor.__array_namespace__()` is `fastnn.array_api`: the functions of",
        "`fastnn.ops` under the standard's names. Keras's semantics come first; this",
        "page says where they differ. `tools/array_api.py` writes it: it calls every",
        f"function and compares with NumPy. {good} of {len(found)} conform.",
        "",
    ]
    for group in GROUPS:
        rows = [(n, d) for g, n, d in found if g == group]
        conform = [f"`{n}`" for n, d in rows if not d]
        lines += [f"## {group}", "", f"Conform: {', '.join(conform)}.", ""]
        differ = [(n, d) for n, d in rows if d]
        if differ:
            lines += ["| differs | found | why |", "| --- | --- | --- |"]
            lines += [f"| `{n}` | {d} | {REASONS[n]} |" for n, d in differ] + [""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="array_api", description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(argv)
    text = page()
    if options.check:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
