# SPDX-License-Identifier: Apache-2.0
"""What a file may ask for: the loader's limits, and JSON that keeps them.

docs/saving.md has the whole contract. Everything else in the package that reads a file
goes through here, `archive.py` and the readers (`reader.py`) of each format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn.errors import ModelFileError, ModelFileMissingError

JSON_BYTES = 64 << 20
JSON_DEPTH = 256
# What becomes of JSON may take this memory, the bytes of its file, and those of its
# text once more: alone, 2,000 dense layers or a vocabulary of 450,000 words.
JSON_MEMORY = 32 << 20
JSON_STRING = 1 << 20  # one text in it, which messages may quote
DEFLATED_JSON = 16 << 20  # where the archive is smaller than what it holds
# Bytes that list an archive's members: 90,000, 60 MB as objects.
ARCHIVE_TABLE = 4 << 20
RATIO = 100  # of a compressed archive member; deflate reaches 1032
NPZ_RATIO = 1032  # of a member of an npz file: zeros reach it
# What compressed arrays may take beyond the bytes of their file, where nothing but the
# file says how large they are; and so what a deflated member of an archive may.
GROWTH = 16 << 20
NPY_HEADER = 10_000
# A table of n bytes of JSON takes up to 24 n as objects; real ones have 100 per array.
SAFETENSORS_TABLE = 8 << 20
SHARDS = 500
HDF5_OBJECTS = 1_000_000
HDF5_DEPTH = 256
HDF5_RATIO = 1032  # of a compressed dataset above HDF5_FREE bytes
HDF5_FREE = 1 << 20
HDF5_BLOCK = 8 << 20  # of a chunk that is put together beside its array
HDF5_PATHS = 16 << 20  # characters of all paths, and one for each byte of the file
# New weights of a config without a file: drawn at once below, all of them at most.
DRAWN_AT_ONCE = 64 << 20
NEW_WEIGHTS = 4 << 30
STATES = 32 << 20  # of all stateful layers and metrics together, which no file holds
HDF5_CHUNKS = 4096  # of a dataset, and one more for 256 bytes


def parse_json(text: bytes | str, path: object, where: str, size: int = 0) -> Any:
    """Plain data from JSON.

    Args:
        text: of it; where the caller keeps no reference, the bytes go once decoded.
        path: of the file, for messages.
        where: place in the file, for messages.
        size: of the file, where that is larger than the text.

    Raises:
        ModelFileError: for text above 64 MiB, more than 256 levels, more parts than a
            file of that size has, a key that stands twice in an object, or no JSON.
    """
    import json

    def fail(problem: str) -> ModelFileError:
        return ModelFileError(path, problem, where)

    def decoded(text: bytes | str) -> str:
        try:
            if isinstance(text, bytes):
                return text.decode("utf-8")
            text.encode("utf-8")  # halves of letters are none
        except UnicodeError as error:
            raise fail(f"no UTF-8 ({error}).") from None
        return text

    if len(text) > JSON_BYTES:
        raise fail(f"{len(text)} bytes of JSON, at most {JSON_BYTES} are read.")
    if not text.isascii() and 5 * len(text) > JSON_MEMORY + size + len(text):
        raise fail(f"{len(text)} bytes of JSON that are not ASCII.")  # four of each
    length = len(text)
    string = decoded(text)
    del text
    problem = _too_much(string, length, size)
    if problem:
        raise fail(problem)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise fail(f"the key {twice!r} stands twice in one object.")
        return found

    try:
        return json.loads(string, object_pairs_hook=unique)
    except ModelFileError:
        raise
    except ValueError as error:  # also of numbers with thousands of digits
        raise fail(f"no JSON ({error}).") from None


def _too_much(text: str, length: int, size: int) -> str:
    """What is wrong with the depth or number of the parts of JSON; empty for nothing.

    Found without recursion, and before any is made. `[],` are three bytes of text and
    88 of memory, an entry of a dict 200 with the pair that it is made of and its copy
    in today's form, a layer 2,300 to 3,700; names of entries are the same objects.
    """
    import re

    wide = 1 if text.isascii() else 4  # bytes of a letter
    most = JSON_MEMORY + max(length, size) + length
    entries, commas = text.count(":"), text.count(",")  # those in texts as well
    room = most - 200 * entries - 9 * commas - 1600 * text.count('"class_name"')
    room -= wide * length
    depth = boxes = strings = 0
    # Possessive, and a string may end with the text: no character is read twice.
    tokens = r'"(?:[^"\\]+|\\.)*+"?|[\[{]|[\]}]'
    for match in re.finditer(tokens, text, re.DOTALL):
        begin, end = match.span()
        kind = text[begin]
        if kind in "[{":
            depth += 1
            boxes += 1
            if depth > JSON_DEPTH:
                return f"JSON nested more than {JSON_DEPTH} deep."
            if 88 * boxes > room:
                break
        elif kind in "]}":
            depth -= 1
        else:
            strings += 1
            room -= wide * (end - begin)
            if end - begin > JSON_STRING:
                return f"JSON with a text of {end - begin} letters."
    numbers = max(0, commas + boxes - strings)
    room -= 88 * boxes + 55 * max(0, strings - entries) + 32 * numbers
    if room >= 0:
        return ""
    return (
        f"the parts of {length} bytes of JSON would take more than {most} bytes of "
        "memory."
    )


def machine_memory() -> int:
    """Bytes of the machine's memory; much where nobody tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 1 << 62


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Everything that goes wrong inside is a ModelFileError that names the file."""
    try:
        yield
    except ModelFileError:
        raise
    except FileNotFoundError as error:
        if error.filename is None or str(error.filename) != str(path):
            raise ModelFileError(path, f"{type(error).__name__}: {error}") from error
        raise ModelFileMissingError(path, "there is no such file.") from None
    except PermissionError:
        raise
    except RecursionError:
        raise ModelFileError(path, "the config refers to itself.") from None
    except Exception as error:
        text = (
            f"{error}"
            if isinstance(error, ValueError)
            else (f"{type(error).__name__}: {error}")
        )
        raise ModelFileError(path, text) from error
