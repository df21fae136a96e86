# SPDX-License-Identifier: Apache-2.0
"""Functions of `tf.strings`; those of text stand in `unicode`, of hashes in `hashes`.

They take strings in lists, arrays, string tensors or ragged tensors of strings, and
give a tensor of the same shape (or ragged with the same rows).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastnn.errors import DTypeError, ShapeError
from fastnn.structures import _splits
from fastnn.structures._each import each, strings_of
from fastnn.structures.hashes import (
    to_hash_bucket,
    to_hash_bucket_fast,
    to_hash_bucket_strong,
)
from fastnn.structures.ragged_tensor import RaggedTensor
from fastnn.structures.string_tensor import (
    StringTensor,
    as_bytes,
    as_tensor,
    bytes_array,
    object_array,
)
from fastnn.structures.unicode import (
    length,
    lower,
    substr,
    unicode_decode,
    unicode_decode_with_offsets,
    unicode_encode,
    unicode_split,
    unicode_split_with_offsets,
    unicode_transcode,
    upper,
)

__all__ = [
    "as_string",
    "bytes_split",
    "format",
    "join",
    "length",
    "lower",
    "ngrams",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "split",
    "strip",
    "substr",
    "to_hash_bucket",
    "to_hash_bucket_fast",
    "to_hash_bucket_strong",
    "to_number",
    "unicode_decode",
    "unicode_decode_with_offsets",
    "unicode_encode",
    "unicode_split",
    "unicode_split_with_offsets",
    "unicode_transcode",
    "unsorted_segment_join",
    "upper",
]

# ---- numbers -----------------------------------------------------------------------


def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Any:
    """Numbers as C's printf writes them; bools as true and false.

    Args:
        input: numbers, bools or strings, ragged ones too.
        precision: digits behind the point of floats; 6 when negative.
        scientific: whether floats are written as 1.5e+00.
        shortest: whether floats are written as %g does.
        width: smallest number of characters.
        fill: "0", "-", "+" or " ": what printf does with it in front of the width.
        name: not used.
    """
    if scientific and shortest:
        raise ValueError("[as_string] scientific or shortest, not both")
    if len(fill) > 1 or fill not in ("", " ", "0", "-", "+"):
        raise ValueError(f"[as_string] fill must be one of ' 0-+', received {fill!r}")
    if isinstance(input, RaggedTensor):
        flat = as_string(
            input.flat_values, precision, scientific, shortest, width, fill
        )
        return input.with_flat_values(flat)
    x = as_tensor(input)
    array = np.asarray(x)
    room = fill + (str(width) if width >= 0 else "")
    if x.dtype in ("bool", "string"):
        if x.dtype == "bool":
            array = np.where(array, b"true", b"false").astype(object)
        return _formatted(array, "%s")
    if array.dtype.kind in "iu":
        unsigned = array.dtype.kind == "u"  # has no sign to leave room for
        return _formatted(array, f"%{room.strip('+ ') if unsigned else room}d")
    digits = f".{precision}" if precision >= 0 else ""
    kind = "e" if scientific else "g" if shortest else "f"
    written = _formatted(array, f"%{room}{digits}{kind}")
    if fill == "0" and not np.isfinite(array).all():  # C fills these with spaces
        spaces = _formatted(array, f"%{room[1:]}{digits}{kind}")._array
        written = StringTensor(np.where(np.isfinite(array), written._array, spaces))
    return written


def _formatted(array: np.ndarray, text: str) -> StringTensor:
    pattern = text.encode()
    items = [pattern % v for v in array.reshape(-1).tolist()]
    return StringTensor(object_array(items, array.shape))


_HEX = re.compile(rb"[+-]?0[xX]")


def _number(text: bytes, kind: Callable[[bytes], Any]) -> Any:
    stripped = text.strip(b" \t\n\v\f\r")
    try:
        if kind is float and _HEX.match(stripped):
            return float.fromhex(stripped.decode())
        return kind(stripped.replace(b"_", b"?"))  # not Python's 1_000
    except ValueError:
        raise ValueError(
            f"[to_number] could not convert string {text!r} to a number"
        ) from None


def to_number(input: Any, out_type: str = "float32", name: str | None = None) -> Any:
    """The numbers that strings spell.

    Raises:
        ValueError: for a string that is no number of `out_type`.
    """
    if out_type not in ("float32", "float64", "int32", "int64", "uint32", "uint64"):
        raise DTypeError(f"[to_number] out_type {out_type} is not supported")
    kind = float if out_type[0] == "f" else int

    def convert(text: bytes) -> Any:
        value = _number(text, kind)
        if kind is int:
            info = np.iinfo(out_type)
            if not info.min <= value <= info.max:
                raise ValueError(f"[to_number] {value} does not fit {out_type}")
        return value

    return each(convert, input, out_type)


# ---- put together and taken apart ---------------------------------------------------


def strip(input: Any, name: str | None = None) -> Any:
    """Strings without white space at both ends."""
    return each(bytes.strip, input)


def join(inputs: Sequence[Any], separator: Any = "", name: str | None = None) -> Any:
    """The elements of several tensors beside each other; scalars serve all."""
    parts = [strings_of(v) for v in inputs]
    if not parts:
        return StringTensor("")
    model = next((p for p in parts if isinstance(p, RaggedTensor)), None)
    if model is not None:
        flat = [p.flat_values if isinstance(p, RaggedTensor) else p for p in parts]
        return model.with_flat_values(join(flat, separator))
    shapes = {p.shape for p in parts if p.ndim}
    if len(shapes) > 1:
        raise ShapeError(f"[join] shapes {sorted(shapes)} differ")
    arrays = np.broadcast_arrays(*(p._array for p in parts))
    sep = as_bytes(separator)
    rows = zip(*(a.reshape(-1) for a in arrays), strict=True)
    return StringTensor(object_array([sep.join(row) for row in rows], arrays[0].shape))


def reduce_join(
    inputs: Any,
    axis: Any = None,
    keepdims: bool = False,
    separator: Any = "",
    name: str | None = None,
) -> Any:
    """The strings along axes as one, in row-major order ; of a list of
    axes the first is joined first.

    A ragged tensor is joined along its last axis.
    """
    x, sep = strings_of(inputs), as_bytes(separator)
    if isinstance(x, RaggedTensor):
        if axis not in (-1, x.ndim - 1, 1) or x.ragged_rank != x.ndim - 1:
            raise ValueError("[reduce_join] joins the last axis of a ragged tensor")
        inner = x
        while isinstance(inner.values, RaggedTensor):
            inner = inner.values
        rows = [sep.join(row) for row in inner.to_list()]
        joined = StringTensor(object_array(rows, (len(rows),)))
        return x.with_values(joined) if inner is not x else joined
    array = x._array
    axes = range(array.ndim) if axis is None else np.atleast_1d(axis).tolist()
    order = [int(a) for a in axes]
    if any(not -array.ndim <= a < array.ndim for a in order):
        raise ValueError(f"[reduce_join] axis {axis} is out of range for {x.shape}")
    order = [a % array.ndim for a in order]
    if axis is not None:
        order.reverse()  # the first of several axes is joined first
    rest = [a for a in range(array.ndim) if a not in order]
    shape = tuple(array.shape[a] for a in rest)
    count = int(np.prod([array.shape[a] for a in order], dtype=int))
    rows = array.transpose(rest + order).reshape(int(np.prod(shape, dtype=int)), count)
    out = object_array([sep.join(row) for row in rows], shape)
    for a in sorted(order) if keepdims else ():
        out = np.expand_dims(out, a)
    return StringTensor(out)


def unsorted_segment_join(
    inputs: Any,
    segment_ids: Any,
    num_segments: Any,
    separator: Any = "",
    name: str | None = None,
) -> StringTensor:
    """String i of the result joins the inputs whose id is i."""
    array = bytes_array(strings_of(inputs))
    ids = _splits.integers("unsorted_segment_join", "segment_ids", segment_ids)
    rows = array.reshape(ids.size, -1)
    n, sep = int(num_segments), as_bytes(separator)
    if ids.size and not (ids.min() >= 0 and ids.max() < n):
        raise IndexError(f"[unsorted_segment_join] ids {ids} are not in 0..{n - 1}")
    flat = ids.reshape(-1)
    out = [sep.join(c) for i in range(n) for c in _columns(rows[flat == i])]
    return StringTensor(object_array(out, (n, *array.shape[ids.ndim :])))


def _columns(rows: np.ndarray) -> list[list[bytes]]:
    return [list(column) for column in rows.T]


def _pieces(x: Any, cut: Callable[[bytes], list[bytes]]) -> Any:
    """Every string as a row of pieces: one axis more, ragged except for a scalar."""
    x = strings_of(x)
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(_pieces(x.flat_values, cut))
    rows = [cut(v) for v in x._array.reshape(-1)]
    pieces = [piece for row in rows for piece in row]
    flat = StringTensor(object_array(pieces, (len(pieces),)))
    if x.ndim == 0:
        return flat
    made = RaggedTensor.from_row_lengths(flat, np.array([len(r) for r in rows], int))
    for n in reversed(x.shape[1:]):
        made = RaggedTensor.from_uniform_row_length(made, n, len(made) // n if n else 0)
    return made


def split(
    input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None
) -> Any:
    """Strings cut at a separator, or at white space, as rows of a ragged tensor.

    As Python's `bytes.split`. A scalar gives a tensor.
    """
    cut = None if sep is None or not as_bytes(sep) else as_bytes(sep)
    return _pieces(input, lambda text: text.split(cut, maxsplit))


def bytes_split(input: Any, name: str | None = None) -> Any:
    """The bytes of strings as rows of a ragged tensor of strings of one byte."""
    return _pieces(input, lambda text: [text[i : i + 1] for i in range(len(text))])


def ngrams(
    data: Any,
    ngram_width: int | Sequence[int],
    separator: Any = " ",
    pad_values: Any = None,
    padding_width: int | None = None,
    preserve_short_sequences: bool = False,
    name: str | None = None,
) -> Any:
    """Every run of `ngram_width` neighbours along the last axis, joined.

    Args:
        data: strings; rows may be ragged.
        ngram_width: how many at a time, or several such numbers, one after the other.
        separator: between them.
        pad_values: (left, right) or one string that stands around every row.
        padding_width: how many of them on each side; one less than the width.
        preserve_short_sequences: whether a row that is too short becomes one string.
        name: not used.
    """
    widths = [ngram_width] if isinstance(ngram_width, int) else list(ngram_width)
    if any(w < 1 for w in widths):
        raise ValueError(f"[ngrams] widths must be at least 1, received {ngram_width}")
    if padding_width is not None and pad_values is None:
        raise ValueError("[ngrams] padding_width needs pad_values")
    x, sep = strings_of(data), as_bytes(separator)
    pads = (
        (pad_values, pad_values) if isinstance(pad_values, (str, bytes)) else pad_values
    )
    most = max(widths) - 1 if padding_width is None else padding_width

    def runs(row: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for width in widths:
            n = 0 if pads is None else min(most, width - 1)
            full = row
            if pads is not None:
                full = [as_bytes(pads[0])] * n + row + [as_bytes(pads[1])] * n
            made = [sep.join(full[i : i + width]) for i in range(len(full) - width + 1)]
            out += made
        if not out and preserve_short_sequences and row:
            n = 0 if pads is None else min(most, widths[0] - 1)
            around = [] if pads is None else [as_bytes(p) for p in pads]
            out = [sep.join([*around[:1] * n, *row, *around[1:] * n])]
        return out

    return _along_rows(x, runs)


def _along_rows(x: Any, function: Callable[[list[bytes]], list[bytes]]) -> Any:
    """The last axis through a function of lists; dense stays dense."""
    if isinstance(x, RaggedTensor):
        if isinstance(x.values, RaggedTensor):
            return x.with_values(_along_rows(x.values, function))
        if x.values.ndim > 1:
            return x.with_values(_along_rows(x.values, function))
        made = [function(row) for row in x.to_list()]
        flat = [piece for row in made for piece in row]
        values = StringTensor(object_array(flat, (len(flat),)))
        return RaggedTensor.from_row_lengths(values, [len(row) for row in made])
    array = x._array
    if not array.ndim:
        raise ShapeError("[ngrams] expects an axis of strings, received a scalar")
    made = [function(list(row)) for row in array.reshape(-1, array.shape[-1])]
    n = len(made[0]) if made else 0
    flat = [piece for row in made for piece in row]
    return StringTensor(object_array(flat, (*array.shape[:-1], n)))


# ---- patterns ----------------------------------------------------------------------


@functools.lru_cache(256)
def _pattern(text: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"[strings] invalid pattern {text!r}: {error}") from None


def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    """Whether a pattern matches the whole string. Patterns are those of Python's `re`,
    which knows RE2's except for a few names of classes.
    """
    match = _pattern(as_bytes(pattern)).fullmatch
    return each(lambda text: match(text) is not None, input, "bool")


_REFERENCE = re.compile(rb"\\(\d|\\)")


def regex_replace(
    input: Any,
    pattern: Any,
    rewrite: Any,
    replace_global: bool = True,
    name: str | None = None,
) -> Any:
    r"""Strings with the matches of a pattern (all, or the first) rewritten.

    In `rewrite`, \1 to \9 stand for what the groups matched and \0 for the whole.
    """
    found = _pattern(as_bytes(pattern))
    text = as_bytes(rewrite)

    def rewritten(match: re.Match[bytes]) -> bytes:
        def part(reference: re.Match[bytes]) -> bytes:
            which = reference[1]
            if which == b"\\":
                return which
            if int(which) > found.groups:
                raise ValueError(
                    f"[regex_replace] {rewrite!r} asks for group {int(which)}, the "
                    f"pattern {pattern!r} has {found.groups}"
                )
            return match[int(which)] or b""

        return _REFERENCE.sub(part, text)

    return each(lambda s: found.sub(rewritten, s, 0 if replace_global else 1), input)


def format(
    template: str,
    inputs: Any,
    placeholder: str = "{}",
    summarize: int = 3,
    name: str | None = None,
) -> StringTensor:
    """A string with tensors in place of the placeholders, long axes abbreviated.

    Args:
        template: the text.
        inputs: a tensor, or a list or tuple of them, one per placeholder.
        placeholder: what stands for a tensor.
        summarize: elements shown at each end of an axis; -1 for all.
        name: not used.
    """
    tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    parts = template.split(placeholder)
    if len(parts) != len(tensors) + 1:
        raise ValueError(
            f"[format] {len(parts) - 1} placeholders for {len(tensors)} tensors"
        )
    texts = [_text(np.asarray(as_tensor(t)), summarize) for t in tensors]
    out = parts[0] + "".join(t + p for t, p in zip(texts, parts[1:], strict=True))
    return StringTensor(out)


_ESCAPES = {i: f"\\{i:03o}" for i in (*range(32), 127)}
_ESCAPES |= {ord(c): f"\\{e}" for c, e in zip("\n\r\t\"'\\", "nrt\"'\\", strict=True)}


def _text(array: np.ndarray, summarize: int, indent: int = 1) -> str:
    if array.ndim:
        n, some = len(array), summarize if summarize >= 0 else len(array)
        rows = range(n) if n <= 2 * some else [*range(some), *range(n - some, n)]
        texts = [_text(np.asarray(array[i]), summarize, indent + 1) for i in rows]
        if n > 2 * some:
            texts.insert(some, "...")
        between = "\n" * (array.ndim - 1) + " " * indent if array.ndim > 1 else " "
        return f"[{between.join(texts)}]"
    value = array.item()
    if isinstance(value, bytes):
        text = value.decode(errors="replace").translate(_ESCAPES)
        return f'"{text}"'
    if isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, float):
        return str(value)
    few, many = (6, 9) if array.itemsize <= 4 else (15, 17)
    text = f"{value:.{few}g}"
    return text if array.dtype.type(text) == array else f"{value:.{many}g}"
