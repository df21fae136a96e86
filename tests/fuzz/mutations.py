# SPDX-License-Identifier: Apache-2.0
"""Damage to bytes, to JSON and to archives, drawn from a `random.Random`."""

from __future__ import annotations

import io
import json
import pickle
import random
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from fastnn.serialization import exported_names

NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, 10**6, 10**9, 10**12),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**30),
    *(-(2**31), -(2**63), 0.5, -0.0, 1e-40, 1e308, float("inf"), float("nan")),
)
WORDS = (
    *("", "a", "..", "/etc/passwd", "../../x", "http://localhost:9/x", "\x00", "ü" * 9),
    *("relu", "os", "system", "builtins", "eval", "keras.utils", "get_file", "x" * 999),
    *("keras", "keras.layers", "keras.src.models.functional", "layers", "vars", "0"),
    *("float32", "float16", "bfloat16", "int8", "string", "O", "S9999999999", "V8"),
    *("valid", "same", "causal", "channels_first", "mixed_float16", "function"),
    *("__lambda__", "__numpy__", "__tensor__", "__keras_tensor__", "__bytes__"),
    *("__slice__", "__ellipsis__", "__tuple__", "__typespec__", "__class__"),
)


# ---- bytes -------------------------------------------------------------------------


def damaged(data: bytes, draw: random.Random, other: bytes = b"") -> bytes:
    """A few changes to bytes; mostly to some that are not zero."""
    result = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 2, 3, 5))):
        draw.choice(_CHANGES)(result, draw, other)
    return bytes(result)


def _place(data: bytearray, draw: random.Random) -> int:
    """HDF5 files are mostly zeros, which mean little."""
    if not data:
        data.append(0)
    for _ in range(8):
        place = draw.randrange(len(data))
        if data[place]:
            break
    return place


def _flip(data: bytearray, draw: random.Random, _: bytes) -> None:
    data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _set(data: bytearray, draw: random.Random, _: bytes) -> None:
    data[_place(data, draw)] = draw.choice(
        (0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256))
    )


def _number(data: bytearray, draw: random.Random, _: bytes) -> None:
    size = draw.choice((1, 2, 4, 8))
    value = draw.choice((*NUMBERS[:24], len(data), len(data) - 1, draw.getrandbits(64)))
    place = _place(data, draw)
    bits = (int(value) % (1 << 8 * size)).to_bytes(size, draw.choice(("little", "big")))
    data[place : place + size] = bits


def _add(data: bytearray, draw: random.Random, _: bytes) -> None:
    place, step = _place(data, draw), draw.randint(-16, 16)
    data[place] = (data[place] + step) % 256


def _cut(data: bytearray, draw: random.Random, _: bytes) -> None:
    place = _place(data, draw)
    del data[place : place + draw.choice((1, 2, 8, 64, len(data)))]


def _copy(data: bytearray, draw: random.Random, _: bytes) -> None:
    size = draw.choice((1, 4, 8, 24, 40, 200))
    place, source = _place(data, draw), _place(data, draw)
    block = data[source : source + size]
    data[place : place + draw.choice((0, len(block)))] = block


def _splice(data: bytearray, draw: random.Random, other: bytes) -> None:
    place = _place(data, draw)
    size = draw.choice((8, 64, 512, 4096))
    data[place : place + size] = other[place : place + size]


_CHANGES = (_flip, _flip, _set, _number, _number, _add, _cut, _copy, _splice)


# ---- JSON --------------------------------------------------------------------------


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value in it."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _value(draw: random.Random, trees: list[Any]) -> Any:
    kind = draw.randrange(8)
    if kind < 2:
        return draw.choice(NUMBERS)
    if kind < 4:
        return draw.choice((*WORDS, draw.choice(_names())))
    if kind == 4:
        return draw.choice((None, True, False, [], {}, [[]], [None], [1, 2, 3]))
    if kind == 5:
        deep: Any = draw.choice(NUMBERS)
        for _ in range(draw.choice((1, 3, 50, 200))):
            deep = [deep] if draw.random() < 0.8 else {"config": deep}
        return deep
    container, key = draw.choice(list(_places(draw.choice(trees))))
    return _copied(container[key])


def _copied(tree: Any) -> Any:
    return pickle.loads(pickle.dumps(tree))  # ten times as fast as copy.deepcopy


_all_names: list[str] = []


def _names() -> list[str]:
    if not _all_names:
        _all_names.extend(sorted(exported_names()))
    return _all_names


def changed(tree: Any, draw: random.Random, trees: list[Any]) -> Any:
    """A few changes to plain data: values, keys, classes, parts of other trees."""
    tree = _copied(tree)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return _value(draw, trees)
        container, key = draw.choice(places)
        kind = draw.randrange(10)
        if kind < 5:
            container[key] = _value(draw, trees)
        elif kind == 5:
            del container[key]
        elif kind == 6 and isinstance(container, dict):
            container[draw.choice((*WORDS, str(key) + "s"))] = container[key]
        elif kind == 6:
            container.extend(container[: draw.choice((1, 9))])
        else:  # another class, or another number, where there is one
            named = [(c, k) for c, k in places if k == "class_name" and k in c]
            sized = [(c, k) for c, k in places if _is_number(c, k)]
            if named and kind == 7:
                container, key = draw.choice(named)
                container[key] = draw.choice(_names())
            elif sized:
                container, key = draw.choice(sized)
                container[key] = draw.choice(NUMBERS)
    return tree


def _is_number(container: Any, key: Any) -> bool:
    try:
        return isinstance(container[key], (int, float))
    except (KeyError, IndexError):
        return False


def written(tree: Any, draw: random.Random) -> bytes:
    """JSON, now and then with damage to its text."""
    text = json.dumps(tree).encode()
    return damaged(text, draw, text[::-1]) if draw.random() < 0.1 else text


# ---- archives ----------------------------------------------------------------------


def packed(
    members: dict[str, bytes], draw: random.Random, strange: float = 0.2
) -> bytes:
    """An archive of members, some of them missing, twice, renamed or compressed.

    Args:
        members: name -> bytes.
        draw: source of chance.
        strange: how probable such a change is.
    """
    file = io.BytesIO()
    listed = list(members.items())
    if draw.random() < strange:
        kind = draw.randrange(4)
        if kind == 0:
            listed.remove(draw.choice(listed))
        elif kind == 1:
            listed.append(draw.choice(listed))
        elif kind == 2:
            name, data = draw.choice(listed)
            listed.append((draw.choice((*WORDS[1:7], name + "/", "/" + name)), data))
        else:
            draw.shuffle(listed)
    how = draw.choice((zipfile.ZIP_STORED,) * 4 + (zipfile.ZIP_DEFLATED,))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, data in listed:
            archive.writestr(zipfile.ZipInfo(name or "a"), data, how)
        if listed and draw.random() < strange / 2:
            _lie(draw.choice(archive.filelist), draw)
    return file.getvalue()


def _lie(entry: zipfile.ZipInfo, draw: random.Random) -> None:
    """Gives a member other sizes in the table; those of 64 bits take another form."""
    number = draw.choice((0, 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**64 - 1))
    fields = ("file_size",), ("compress_size",), ("header_offset",)
    for field in draw.choice((*fields, ("file_size", "compress_size"))):
        setattr(entry, field, number)


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
