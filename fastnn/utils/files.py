# SPDX-License-Identifier: Apache-2.0
"""get_file: a file of the network, kept in a cache folder; archives, taken apart."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from fastnn._switches import show
from fastnn.errors import FastnnError, warn_user
from fastnn.utils.downloads import PassingError, download, file_hash
from fastnn.utils.progbar import Progbar


class FileHashError(FastnnError, ValueError):
    """A file is not the one whose hash was given."""


class UnsafeArchiveError(FastnnError, ValueError):
    """An archive has members that would be written outside of its folder."""


def keras_home() -> Path:
    """Folder of Keras's cache: `KERAS_HOME`, or `.keras` in the home folder."""
    home = os.environ.get("KERAS_HOME")
    return Path(home).expanduser() if home else Path.home() / ".keras"


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Path of a file, downloaded unless it is in the cache.

    A file gets its name only when all of it is there and its hash is right. Archives
    are extracted into a new folder that gets its name only when it is complete; an
    archive with links or names that lead outside of it is refused as a whole.

    Args:
        fname: name in the cache, by default the last part of the address. With
            `extract`, a name without a dot is that of the folder.
        origin: address: http, https or file.
        untar, md5_hash: old spellings of `extract` and `file_hash`.
        file_hash: hexadecimal hash of the file. Without it a download is a warning:
            whoever can change the file decides what your program gets.
        cache_subdir: folder inside of the cache, or an absolute path.
        hash_algorithm: "sha256", "md5", or "auto": by the length of the hash.
        extract: take the archive apart.
        archive_format: "tar", "zip", a list of those, or "auto": both.
        cache_dir: the cache, by default `KERAS_HOME` or `~/.keras`.
        force_download: download it also when it is there.

    Returns:
        Path of the file; of the folder, with `extract`.

    Raises:
        FileHashError: (a ValueError) what came has another hash; nothing is kept.
        UnsafeArchiveError: (a ValueError) for such an archive.
        OSError: the file could not be downloaded; the message says where to put it.
        ValueError: for an address that is none, or a name with folders in it.
    """
    name = _check_name(fname, origin)
    assert origin is not None
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    algorithm = _algorithm(hash_algorithm, file_hash)
    base = Path(cache_dir).expanduser() if cache_dir is not None else keras_home()
    folder = base / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    if not (extract or untar):
        target = folder / name
        _obtain(target, origin, file_hash, algorithm, force_download)
        return os.fspath(target)
    archive, place = _archive_names(folder, name, bool(fname))
    fresh = _obtain(archive, origin, file_hash, algorithm, force_download)
    if fresh or not place.is_dir():
        _extract(archive, place, "tar" if untar else archive_format)
    return os.fspath(place)


def _extract(archive: Path, place: Path, archive_format: Any) -> None:
    if not extract_archive(archive, place, archive_format):
        warn_user(
            f"[get_file] {archive} is not an archive of the format "
            f"{archive_format!r}: nothing was extracted."
        )


def _check_name(fname: str | None, origin: str | None) -> str:
    if origin is None:
        raise ValueError("[get_file] give origin=, the address of the file.")
    address = urllib.parse.urlsplit(origin)
    if address.scheme not in ("http", "https", "file"):
        raise ValueError(
            f"[get_file] origin must begin with https://, http:// or file://, received "
            f"{origin!r}."
        )
    name = os.fspath(fname) if fname else PurePosixPath(address.path).name
    if not name:
        raise ValueError(
            f"[get_file] {origin!r} does not end with a name: give fname=."
        )
    if Path(name).name != name or name in (".", ".."):
        raise ValueError(
            f"[get_file] fname must be a name without folders, received {name!r}; "
            "cache_dir and cache_subdir say where it goes."
        )
    return name


def _algorithm(wanted: str, digest: str | None) -> str:
    if wanted not in ("auto", "sha256", "md5"):
        raise ValueError(
            "[get_file] hash_algorithm must be 'auto', 'sha256' or 'md5', received "
            f"{wanted!r}."
        )
    if wanted == "auto":
        return "md5" if digest is not None and len(digest) == 32 else "sha256"
    return wanted


def _archive_names(folder: Path, name: str, named: bool) -> tuple[Path, Path]:
    """(the archive, the folder to extract to), where Keras has them."""
    if named and "." in name:
        return folder / name, folder / f"{name.partition('.')[0]}_extracted"
    return folder / f"{name}_archive", folder / name


def _obtain(
    target: Path, origin: str, digest: str | None, algorithm: str, force: bool
) -> bool:
    """Makes sure that the file is there; whether it was downloaded now."""
    if target.exists() and not force:
        if digest is None or file_hash(target, algorithm) == digest.lower():
            return False
        show(
            f"{target} does not have the {algorithm} {digest}: it is downloaded again."
        )

    def check(found: str) -> None:
        if digest is not None and found != digest.lower():
            raise FileHashError(
                f"[get_file] {origin} sent a file with {algorithm} {found}, expected "
                f"{digest}; it was thrown away."
            )
        if digest is None:
            warn_user(
                f"[get_file] {origin} was downloaded without a file_hash to check it. "
                f"If you trust what came, write file_hash={found!r}."
            )

    show(f"Downloading data from {origin}")
    try:
        download(origin, target, check, algorithm, report=_reporter())
    except (OSError, PassingError) as error:
        raise OSError(
            f"[get_file] {origin} could not be downloaded: {error}. On a machine "
            f"without network put the file at {target}."
        ) from error
    return True


def _reporter() -> Callable[[int, int | None], None]:
    bar: list[Progbar] = []

    def report(received: int, total: int | None) -> None:
        if not bar:
            bar.append(Progbar(total, unit_name="byte"))
        bar[0].update(received)

    return report


# ---- archives ----------------------------------------------------------------------


def extract_archive(
    file_path: str | os.PathLike[str],
    path: str | os.PathLike[str] = ".",
    archive_format: Any = "auto",
) -> bool:
    """Extracts a tar (also gz, bz2, xz) or zip archive into a folder.

    Args:
        file_path: the archive.
        path: the folder; what is there is replaced as a whole when all is extracted.
        archive_format: "tar", "zip", a list of those, "auto" (both) or None (neither).

    Returns:
        Whether it was an archive of such a format.

    Raises:
        UnsafeArchiveError: for members that would be written outside of the folder.
    """
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    for form in [formats] if isinstance(formats, str) else formats:
        if form not in ("tar", "zip"):
            raise NotImplementedError(
                f"[extract_archive] archive_format must be 'tar' or 'zip', not {form!r}"
            )
        known = tarfile.is_tarfile if form == "tar" else zipfile.is_zipfile
        if known(file_path):
            _extract_whole(form, Path(file_path), Path(path))
            return True
    return False


def _extract_whole(form: str, archive: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        if form == "tar":
            _extract_tar(archive, part)
        else:
            _extract_zip(archive, part)
        part.chmod(0o755)  # mkdtemp lets only the owner in
        if place.is_dir():
            shutil.rmtree(place)
        part.replace(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _extract_tar(archive: Path, part: Path) -> None:
    # Python's own "data" filter came in 3.11.4: the same rules, for all versions.
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        for member in members:
            if _leads_out(member) or not (
                member.isfile() or member.isdir() or member.islnk() or member.issym()
            ):
                raise _unsafe(archive, member.name)
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.uid = member.gid = os.getuid() if hasattr(os, "getuid") else 0
            member.uname = member.gname = ""
        trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
        opened.extractall(part, members, **trusted)  # type: ignore[arg-type]


def _leads_out(member: tarfile.TarInfo) -> bool:
    """Whether a member, or the link it is, may lie outside of the archive's folder.

    Links may lead down only: any ".." could be undone by a link before it.
    """
    names = [member.name]
    if member.islnk() or member.issym():
        names.append(member.linkname)
    return any(n.startswith("/") or ".." in PurePosixPath(n).parts for n in names)


def _extract_zip(archive: Path, part: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name = PurePosixPath(info.filename.replace("\\", "/"))
            drive = len(name.parts) > 0 and name.parts[0].endswith(":")
            if name.is_absolute() or ".." in name.parts or drive:
                raise _unsafe(archive, info.filename)
        opened.extractall(part)  # links are written as plain files by zipfile


def _unsafe(archive: Path, member: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"[extract_archive] {archive} has a member {member!r} that leads outside of "
        "the folder: nothing was extracted. Do not use an archive like that."
    )


__all__ = ["get_file"]
