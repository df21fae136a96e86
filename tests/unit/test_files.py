# SPDX-License-Identifier: Apache-2.0
"""get_file and archives, with files of this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest

from fastnn.utils import get_file
from fastnn.utils.files import FileHashError, UnsafeArchiveError, extract_archive

BODY = b"some data\n" * 100


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "keras"
    monkeypatch.setenv("KERAS_HOME", str(folder))
    monkeypatch.setattr("fastnn.utils.downloads._PAUSES_SECONDS", (0.0, 0.0))
    return folder


@pytest.fixture
def origin(tmp_path: Path) -> str:
    (tmp_path / "data.bin").write_bytes(BODY)
    return (tmp_path / "data.bin").as_uri()


def digest(algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, BODY).hexdigest()


def test_a_file_is_fetched_once(home, origin) -> None:
    path = get_file(origin=origin, file_hash=digest())
    assert path == str(home / "datasets" / "data.bin")
    assert Path(path).read_bytes() == BODY
    Path(path).write_bytes(b"mine")
    assert get_file(origin=origin) == path and Path(path).read_bytes() == b"mine"
    assert get_file(origin=origin, file_hash=digest()) == path  # the wrong one goes
    assert Path(path).read_bytes() == BODY
    Path(path).write_bytes(b"mine")
    with pytest.warns(UserWarning, match="without a file_hash"):
        get_file(origin=origin, force_download=True)
    assert Path(path).read_bytes() == BODY


def test_without_a_hash_the_warning_says_which(origin) -> None:
    with pytest.warns(UserWarning, match=f"write file_hash='{digest()}'"):
        get_file("a", origin)


@pytest.mark.parametrize(
    "kwargs", [{"md5_hash": digest("md5")}, {"file_hash": digest("md5")}]
)
def test_md5(origin, kwargs) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        get_file("a", origin, **kwargs)


def test_a_wrong_hash_is_refused_and_leaves_nothing(home, origin) -> None:
    with pytest.raises(FileHashError, match="expected 0000") as caught:
        get_file("a", origin, file_hash="0" * 64)
    assert isinstance(caught.value, ValueError)
    assert [p for p in home.rglob("*") if p.is_file()] == []


def test_places(tmp_path, origin) -> None:
    got = get_file("b", origin, file_hash=digest(), cache_dir=tmp_path / "c")
    assert got == str(tmp_path / "c" / "datasets" / "b")
    got = get_file("b", origin, file_hash=digest(), cache_subdir=str(tmp_path / "d"))
    assert got == str(tmp_path / "d" / "b")


def test_mistakes(tmp_path, origin) -> None:
    with pytest.raises(ValueError, match="give origin="):
        get_file("a")
    with pytest.raises(ValueError, match="must begin with https"):
        get_file("a", "ftp://host/a")
    with pytest.raises(ValueError, match="does not end with a name"):
        get_file(origin="https://host.invalid/")
    with pytest.raises(ValueError, match="name without folders"):
        get_file("../a", origin)
    with pytest.raises(ValueError, match="hash_algorithm must be"):
        get_file("a", origin, hash_algorithm="crc")
    with pytest.raises(OSError, match="put the file at"):
        get_file(origin=(tmp_path / "missing").as_uri())


# ---- archives ------------------------------------------------------------------------


def tar_of(path: Path, *members: tuple[str, bytes | None]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if data is None:
                info.type, info.linkname = tarfile.SYMTYPE, "../../outside"
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def zip_of(path: Path, *members: tuple[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_archives_are_taken_apart(tmp_path, home, make) -> None:
    source = tmp_path / "set.pack"
    make(source, ("x/a.txt", b"A"), ("b.txt", b"B"))
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    kwargs = {"origin": source.as_uri(), "file_hash": found, "extract": True}
    folder = Path(get_file("set", **kwargs))
    assert folder == home / "datasets" / "set"
    assert (folder / "x" / "a.txt").read_bytes() == b"A"
    (folder / "b.txt").write_bytes(b"mine")
    get_file("set", **kwargs)
    assert (folder / "b.txt").read_bytes() == b"mine"  # not again
    named = Path(get_file("set.pack", **kwargs))
    assert named.name == "set_extracted" and (named / "b.txt").exists()
    assert sorted(p.name for p in (home / "datasets").iterdir()) == [
        "set",
        "set.pack",
        "set_archive",
        "set_extracted",
    ]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_members_outside_are_refused(tmp_path, make, name) -> None:
    source, place = tmp_path / "bad.pack", tmp_path / "deep" / "place"
    make(source, ("good", b"1"), (name, b"2"))
    with pytest.raises(UnsafeArchiveError, match="leads outside"):
        extract_archive(source, place)
    assert list(place.parent.iterdir()) == [] and not (tmp_path / "evil").exists()


def test_links_outside_are_refused(tmp_path) -> None:
    source = tmp_path / "bad.tar.gz"
    tar_of(source, ("link", None))
    with pytest.raises(UnsafeArchiveError):
        extract_archive(source, tmp_path / "place")
    assert not (tmp_path / "place").exists()


def test_what_is_no_archive(tmp_path, origin) -> None:
    assert not extract_archive(tmp_path / "data.bin", tmp_path / "p")
    with pytest.warns(UserWarning, match="is not an archive"):
        get_file("a", origin, file_hash=digest(), extract=True)
    with pytest.raises(NotImplementedError, match="must be 'tar' or 'zip'"):
        extract_archive(tmp_path / "data.bin", tmp_path / "p", "rar")
