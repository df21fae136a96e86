# SPDX-License-Identifier: Apache-2.0
"""Receive a file over the network: tried again where that may help, never half there.

The standard library only. A file is written beside its place under a name of its own
and moved there in one step after it was checked, so an interrupted or concurrent
download never leaves a part behind.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30
_PAUSES_SECONDS = (0.5, 2.0)  # before the second and the third attempt
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class PassingError(Exception):
    """A failure that another attempt may not meet."""


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """SHA-256, or another hash, of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


def download(
    url: str,
    target: Path,
    check: Callable[[str], None],
    algorithm: str = "sha256",
    max_bytes: int | None = None,
    report: Callable[[int, int | None], None] | None = None,
) -> None:
    """Puts what is at `url` at `target`, all of it or nothing.

    Args:
        check: called with the hash of what came; an error of it throws it away.
        algorithm: of the hash.
        max_bytes: a server that never stops sending must not fill the disk.
        report: called with (bytes so far, all bytes or None).

    Raises:
        OSError, PassingError: the file could not be received.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary(target) as (stream, part):
        check(_receive_with_retries(url, stream, algorithm, max_bytes, report))
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        part.chmod(0o644)  # mkstemp lets only the owner read
        part.replace(target)


@contextmanager
def temporary(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    stream = os.fdopen(handle, "w+b")
    try:
        yield stream, Path(name)
    finally:
        stream.close()
        Path(name).unlink(missing_ok=True)


def _receive_with_retries(url: str, stream: BinaryIO, *options: Any) -> str:
    for pause in _PAUSES_SECONDS:
        try:
            return _receive(url, stream, *options)
        except PassingError:
            time.sleep(pause)
    return _receive(url, stream, *options)


def _receive(
    url: str,
    stream: BinaryIO,
    algorithm: str,
    max_bytes: int | None,
    report: Callable[[int, int | None], None] | None,
) -> str:
    """Writes the body of `url` into `stream` from its start; returns its hash."""
    stream.seek(0)
    stream.truncate()
    digest = hashlib.new(algorithm)
    received = 0
    request = urllib.request.Request(url, headers={"User-Agent": "fastnn"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            expected = answer.headers.get("Content-Length")
            total = None if expected is None else int(expected)
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if max_bytes is not None and received > max_bytes:
                    raise OSError(f"the server sent more than {max_bytes} bytes")
                digest.update(chunk)
                stream.write(chunk)
                if report is not None:
                    report(received, total)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _PASSING_STATUS:
            raise PassingError(f"the server answered {error.code}") from error
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError):
            raise PassingError(f"{error.reason}") from error
        raise
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise PassingError(f"the connection broke ({error!r})") from error
    if total is not None and received != total:
        raise PassingError(f"the connection ended after {received} of {total} bytes")
    return digest.hexdigest()
