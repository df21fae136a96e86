# SPDX-License-Identifier: Apache-2.0
"""Functions of `tf.strings` that look at the characters of texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff.tensor import Tensor
from fastnn.structures import _splits
from fastnn.structures._each import each, strings_of
from fastnn.structures.ragged_convert import as_ragged_or_tensor
from fastnn.structures.ragged_tensor import RaggedTensor
from fastnn.structures.string_tensor import StringTensor, object_array

_OUTPUT = {"UTF-8": "utf-8", "UTF-16-BE": "utf-16-be", "UTF-32-BE": "utf-32-be"}
_REPLACEMENT = 0xFFFD


def _codec(name: str, encoding: str, output: bool = False) -> str:
    """Python's name of an encoding.

    Raises:
        ValueError: for one that is not known.
    """
    known = _OUTPUT.get(encoding.upper())
    if known is not None:
        return known
    if output:
        raise ValueError(
            f"[{name}] output_encoding must be one of {', '.join(_OUTPUT)}, received "
            f"{encoding!r}"
        )
    try:
        b"".decode(encoding)
    except LookupError:
        raise ValueError(f"[{name}] unknown encoding {encoding!r}") from None
    return encoding


def _points(
    name: str, text: bytes, codec: str, errors: str, replacement: int, control: bool
) -> list[tuple[int, int]]:
    """(code point, byte where it begins) of every character of a text."""
    out: list[tuple[int, int]] = []
    at = 0

    while at < len(text):
        bad = 0
        try:
            part = text[at:].decode(codec)
        except UnicodeDecodeError as error:
            part = text[at : at + error.start].decode(codec)
            bad = max(error.end - error.start, 1)
        for character in part:
            if not (control and character < " "):
                out.append((ord(character), at))
            elif errors != "ignore":
                out.append((replacement, at))
            at += len(character.encode(codec))
        if bad and errors == "strict":
            raise ValueError(f"[{name}] {text!r} is not {codec} at byte {at}")
        if bad and errors == "replace":
            out.append((replacement, at))
        if bad:
            at += bad
        elif not part:
            break
    return out


def _checked(name: str, errors: str, replacement: int) -> None:
    if errors not in ("strict", "replace", "ignore"):
        raise ValueError(
            f"[{name}] errors must be strict, replace or ignore, received {errors!r}"
        )
    if not (0 <= replacement <= 0x10FFFF and not 0xD800 <= replacement < 0xE000):
        raise ValueError(f"[{name}] replacement_char {replacement} is no character")


def _decoded(
    name: str, value: Any, encoding: str, errors: str, replacement: int, control: bool
) -> tuple[Any, Callable[[Any], Any]]:
    """(points and offsets of each string, rows made of the flat values of them)."""
    _checked(name, errors, replacement)
    codec = _codec(name, encoding)
    x = strings_of(value)
    flat = x.flat_values if isinstance(x, RaggedTensor) else x
    rows = [
        _points(name, text, codec, errors, replacement, control)
        for text in flat._array.reshape(-1)
    ]
    lengths = np.array([len(row) for row in rows], np.int64)

    def shaped(values: Any) -> Any:
        if not isinstance(x, RaggedTensor) and x.ndim == 0:
            return values
        made = RaggedTensor.from_row_lengths(values, lengths)
        for n in reversed(flat.shape[1:]):
            count = len(made) // n if n else 0
            made = RaggedTensor.from_uniform_row_length(made, n, count)
        return x.with_flat_values(made) if isinstance(x, RaggedTensor) else made

    return [pair for row in rows for pair in row], shaped


def unicode_decode_with_offsets(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> tuple[Any, Any]:
    """The code points of texts, and the bytes where they begin; arguments as of
    `unicode_decode`.
    """
    pairs, shaped = _decoded(
        "unicode_decode", input, input_encoding, errors, replacement_char,
        replace_control_characters,
    )  # fmt: skip
    points = np.array([p for p, _ in pairs], np.int32)
    starts = np.array([at for _, at in pairs], np.int64)
    return shaped(Tensor(points)), shaped(Tensor(starts))


def unicode_decode(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> Any:
    """The code points of texts: int32, a row of a ragged tensor for each.

    Args:
        input: texts.
        input_encoding: "UTF-8", "UTF-16-BE", "UTF-32-BE" or one that Python knows.
        errors: "strict" raises for bytes that are no character, "replace" puts
            `replacement_char`, "ignore" nothing.
        replacement_char: a code point.
        replace_control_characters: whether it also stands for control characters.
        name: not used.

    Raises:
        ValueError: for an unknown encoding, or a wrong text with errors="strict".
    """
    return unicode_decode_with_offsets(
        input, input_encoding, errors, replacement_char, replace_control_characters
    )[0]


def unicode_split_with_offsets(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    name: str | None = None,
) -> tuple[Any, Any]:
    """The characters of texts as strings, and the bytes where they begin."""
    pairs, shaped = _decoded(
        "unicode_split", input, input_encoding, errors, replacement_char, False
    )
    codec = _codec("unicode_split", input_encoding)
    parts = object_array([chr(p).encode(codec) for p, _ in pairs], (len(pairs),))
    starts = np.array([at for _, at in pairs], np.int64)
    return shaped(StringTensor(parts)), shaped(Tensor(starts))


def unicode_split(
    input: Any,
    input_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    name: str | None = None,
) -> Any:
    """The characters of texts as strings; arguments as of `unicode_decode`."""
    return unicode_split_with_offsets(input, input_encoding, errors, replacement_char)[
        0
    ]


def _encoded(
    name: str, points: list[int], codec: str, errors: str, replacement: int
) -> bytes:
    text = []
    for point in points:
        if 0 <= point <= 0x10FFFF and not 0xD800 <= point < 0xE000:
            text.append(chr(point))
        elif errors == "strict":
            raise ValueError(f"[{name}] {point} is no code point of a character")
        elif errors == "replace":
            text.append(chr(replacement))
    return "".join(text).encode(codec)


def unicode_encode(
    input: Any,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    name: str | None = None,
) -> Any:
    """Texts of code points: the last axis becomes a string.

    Args:
        input: integers [..., characters], ragged or dense.
        output_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".
        errors: what to do about numbers that are no code points, as `unicode_decode`.
        replacement_char: a code point.
        name: not used.
    """
    _checked("unicode_encode", errors, replacement_char)
    codec = _codec("unicode_encode", output_encoding, output=True)

    def text(row: Any) -> bytes:
        return _encoded("unicode_encode", row, codec, errors, replacement_char)

    x = as_ragged_or_tensor(input)
    if isinstance(x, RaggedTensor):
        if isinstance(x.values, RaggedTensor) or x.values.ndim > 1:
            return x.with_values(
                unicode_encode(x.values, output_encoding, errors, replacement_char)
            )
        rows = [text(row) for row in x.to_list()]
        return StringTensor(object_array(rows, (len(rows),)))
    array = _splits.integers("unicode_encode", "input", x)
    n = array.shape[-1] if array.ndim else 1
    count = array.size // n if n else int(np.prod(array.shape[:-1], dtype=int))
    rows = [text(row) for row in array.reshape(count, n).tolist()]
    return StringTensor(object_array(rows, array.shape[:-1]))


def unicode_transcode(
    input: Any,
    input_encoding: str,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = _REPLACEMENT,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> Any:
    """Texts in another encoding; arguments as of `unicode_decode`."""
    _checked("unicode_transcode", errors, replacement_char)
    source = _codec("unicode_transcode", input_encoding)
    target = _codec("unicode_transcode", output_encoding, output=True)

    def convert(text: bytes) -> bytes:
        pairs = _points(
            "unicode_transcode", text, source, errors, replacement_char,
            replace_control_characters,
        )  # fmt: skip
        return "".join(chr(p) for p, _ in pairs).encode(target)

    return each(convert, input)


# ---- lengths, parts and cases --------------------------------------------------------


def _unit(name: str, unit: str) -> bool:
    """Whether characters are counted rather than bytes."""
    if unit not in ("BYTE", "UTF8_CHAR"):
        raise ValueError(f"[{name}] unit must be BYTE or UTF8_CHAR, received {unit!r}")
    return unit == "UTF8_CHAR"


def _starts(text: bytes) -> np.ndarray:
    """The bytes where characters begin: all that do not continue one."""
    return np.flatnonzero(np.frombuffer(text, np.uint8) & 0xC0 != 0x80)


def length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """The number of bytes or, with unit="UTF8_CHAR", of characters; int32."""
    if _unit("length", unit):
        return each(lambda text: len(_starts(text)), input, "int32")
    return each(len, input, "int32")


def substr(
    input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None
) -> Any:
    """`len` bytes (or characters) of strings from `pos`, counted from the end where
    negative; `pos` and `len` are integers or of the shape of the strings.

    Raises:
        ValueError: for a position outside of its string.
    """
    by_character = _unit("substr", unit)
    x = strings_of(input)
    at = _splits.integers("substr", "pos", pos)
    count = _splits.integers("substr", "len", len)
    if isinstance(x, RaggedTensor):
        return x.with_flat_values(substr(x.flat_values, at, count, unit))
    strings, at, count = np.broadcast_arrays(x._array, at, count)

    def part(text: bytes, first: int, n: int) -> bytes:
        starts = _starts(text) if by_character else range(text.__len__())
        total = starts.__len__()
        if not -total <= first <= total:
            raise ValueError(f"[substr] pos {first} is out of range for {text!r}")
        first = first + total if first < 0 else first
        last = min(first + max(n, 0), total)
        ends = [*starts, text.__len__()]
        return text[ends[first] : ends[last]]

    rows = zip(strings.flat, at.flat, count.flat, strict=True)
    return StringTensor(object_array([part(*row) for row in rows], strings.shape))


def _cased(name: str, input: Any, encoding: str, method: str) -> Any:
    if encoding not in ("", "utf-8"):
        raise ValueError(f'[{name}] encoding must be "" or "utf-8", got {encoding!r}')
    if not encoding:
        return each(getattr(bytes, method), input)
    return each(
        lambda s: getattr(s.decode("utf-8", "replace"), method)().encode(), input
    )


def lower(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Strings in small letters; ASCII only unless encoding="utf-8"."""
    return _cased("lower", input, encoding, "lower")


def upper(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Strings in capital letters; ASCII only unless encoding="utf-8"."""
    return _cased("upper", input, encoding, "upper")
