# SPDX-License-Identifier: Apache-2.0
"""Fetch a file once, verify it, keep it: standard library only.

A file appears in the cache under its final name only after its SHA-256 was checked:
it is written beside its place under a name of its own and moved there in one step, so
an interrupted or concurrent download never leaves a part behind.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastnn.datasets._errors import DownloadError

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30
_PAUSES_SECONDS = (0.5, 2.0)  # before the second and the third attempt
# The largest file known here has 26 MB; a server that never stops sending must not
# fill the disk before the hash could refuse it.
_MAX_BYTES = 1 << 28
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


class RemoteFile(NamedTuple):
    """A published file: its name in the cache, where it lives, what it must hash to."""

    name: str
    url: str
    sha256: str


class _PassingError(Exception):
    """A failure that another attempt may not meet."""


def cache_folder(dataset: str) -> Path:
    """Folder of one data set's files: `FASTNN_HOME/datasets/<dataset>`."""
    home = os.environ.get("FASTNN_HOME")
    if home:
        return Path(home).expanduser() / "datasets" / dataset
    return _user_cache() / "fastnn" / "datasets" / dataset


def _user_cache() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rule: a relative path there is invalid and ignored.
    return xdg if xdg.is_absolute() else Path.home() / ".cache"


def source_url(dataset: str, file: RemoteFile) -> str:
    """Address used for `file`; `FASTNN_DATASETS_URL` replaces the published one.

    A mirror serves `<FASTNN_DATASETS_URL>/<dataset>/<file name>`; hashes are the same.
    """
    mirror = os.environ.get("FASTNN_DATASETS_URL")
    url = f"{mirror.rstrip('/')}/{dataset}/{file.name}" if mirror else file.url
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(
            f"[datasets.{dataset}] the address {url!r} is not http or https. "
            "Set FASTNN_DATASETS_URL to an address such as 'https://host/folder'."
        )
    return url


def fetch(dataset: str, file: RemoteFile, download: bool = True) -> Path:
    """Path of `file` in the cache, after a download if it is not there.

    Args:
        dataset: name of the data set, also of its folder in the cache.
        file: what to fetch. A cached copy is verified on each call.
        download: `False` forbids the network.

    Raises:
        DownloadError: the file is missing and was not to be, or could not be,
            downloaded; or a cached or downloaded copy does not have its SHA-256.
    """
    target = cache_folder(dataset) / file.name
    if target.is_file():
        found = file_sha256(target)
        if found != file.sha256:
            raise DownloadError(
                f"[datasets.{dataset}] {target} has SHA-256 {found}, expected "
                f"{file.sha256}. Delete it to download it again, or pass a copy that "
                "you trust as `path=`."
            )
        return target
    url = source_url(dataset, file)
    if not download:
        raise DownloadError(_by_hand(dataset, file, url, target, "it is not cached"))
    try:
        _download(dataset, file, url, target)
    except (OSError, _PassingError) as error:
        if isinstance(error, DownloadError):
            raise
        raise DownloadError(_by_hand(dataset, file, url, target, error)) from error
    return target


def _by_hand(
    dataset: str, file: RemoteFile, url: str, target: Path, reason: object
) -> str:
    return (
        f"[datasets.{dataset}] no {file.name}: {reason}. Download\n"
        f"    {url}\n"
        f"on a machine with network access and put it at\n    {target}\n"
        "or pass the folder or file that holds the data as `path=`. "
        "FASTNN_DATASETS_URL names a mirror, FASTNN_HOME another cache folder."
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(dataset: str, file: RemoteFile, url: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as (stream, part):
        found = _receive_with_retries(url, stream)
        if found != file.sha256:
            raise DownloadError(
                f"[datasets.{dataset}] {url} sent a file with SHA-256 {found}, "
                f"expected {file.sha256}; it was thrown away. The server or a proxy "
                "changed it: try another mirror with FASTNN_DATASETS_URL."
            )
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
        part.chmod(0o644)  # mkstemp lets only the owner read
        part.replace(target)


@contextmanager
def _temporary(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    stream = os.fdopen(handle, "w+b")
    try:
        yield stream, Path(name)
    finally:
        stream.close()
        Path(name).unlink(missing_ok=True)


def _receive_with_retries(url: str, stream: BinaryIO) -> str:
    for pause in _PAUSES_SECONDS:
        try:
            return _receive(url, stream)
        except _PassingError:
            time.sleep(pause)
    return _receive(url, stream)


def _receive(url: str, stream: BinaryIO) -> str:
    """Writes the body of `url` into `stream` from its start; returns its SHA-256."""
    stream.seek(0)
    stream.truncate()
    digest = hashlib.sha256()
    received = 0
    request = urllib.request.Request(url, headers={"User-Agent": "fastnn"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            expected = answer.headers.get("Content-Length")
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if received > _MAX_BYTES:
                    raise OSError(f"the server sent more than {_MAX_BYTES} bytes")
                digest.update(chunk)
                stream.write(chunk)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _PASSING_STATUS:
            raise _PassingError(f"the server answered {error.code}") from error
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError):
            raise _PassingError(f"{error.reason}") from error
        raise
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _PassingError(f"the connection broke ({error!r})") from error
    if expected is not None and received != int(expected):
        raise _PassingError(
            f"the connection ended after {received} of {expected} bytes"
        )
    return digest.hexdigest()
