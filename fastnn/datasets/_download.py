# SPDX-License-Identifier: Apache-2.0
"""Fetch a file once, verify it, keep it.

A file appears in the cache under its final name only after its hash was checked.
"""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from fastnn.datasets._errors import DownloadError
from fastnn.utils.downloads import PassingError, file_hash
from fastnn.utils.downloads import download as receive

# The largest file known here has 170 MB; a server that never stops sending must not
# fill the disk before the hash could refuse it.
_MAX_BYTES = 1 << 28


class RemoteFile(NamedTuple):
    """A published file: its name in the cache, where it lives, what it must hash to."""

    name: str
    url: str
    digest: str
    algorithm: str = "sha256"


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
            downloaded; or a cached or downloaded copy does not have its hash.
    """
    target = cache_folder(dataset) / file.name
    if target.is_file():
        found = file_hash(target, file.algorithm)
        if found != file.digest:
            raise DownloadError(
                f"[datasets.{dataset}] {target} has {file.algorithm} {found}, "
                f"expected {file.digest}. Delete it to download it again, or pass a "
                "copy that you trust as `path=`."
            )
        return target
    url = source_url(dataset, file)
    if not download:
        raise DownloadError(_by_hand(dataset, file, url, target, "it is not cached"))
    try:
        _download(dataset, file, url, target)
    except (OSError, PassingError) as error:
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


def _download(dataset: str, file: RemoteFile, url: str, target: Path) -> None:
    def check(found: str) -> None:
        if found != file.digest:
            raise DownloadError(
                f"[datasets.{dataset}] {url} sent a file with {file.algorithm} "
                f"{found}, expected {file.digest}; it was thrown away. The server "
                "or a proxy changed it: try another mirror with FASTNN_DATASETS_URL."
            )

    receive(url, target, check, file.algorithm, _MAX_BYTES)
