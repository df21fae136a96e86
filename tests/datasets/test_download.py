# SPDX-License-Identifier: Apache-2.0
"""The download path against a loopback mirror: faults, atomicity, concurrency."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastnn.datasets._download import RemoteFile, cache_folder, fetch, source_url
from fastnn.datasets._errors import DownloadError
from fastnn.errors import FastnnError

BODY = bytes(range(256)) * 2000
FILE = RemoteFile(
    "a.bin", "https://published.invalid/a.bin", hashlib.sha256(BODY).hexdigest()
)


def left_over(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file())


def test_downloads_once_and_then_reads_the_cache(mirror, home):
    mirror.files["/set/a.bin"] = BODY
    path = fetch("set", FILE)
    assert path == home / "datasets" / "set" / "a.bin"
    assert path.read_bytes() == BODY
    assert fetch("set", FILE) == path
    assert mirror.requests == ["/set/a.bin"]
    assert left_over(home) == ["a.bin"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o644


def test_wrong_hash_is_refused_and_leaves_nothing(mirror, home):
    mirror.files["/set/a.bin"] = BODY[:-1] + b"!"
    with pytest.raises(DownloadError, match="expected " + FILE.digest):
        fetch("set", FILE)
    assert left_over(home) == []
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("status", ["403", "404"])
def test_final_statuses_are_not_tried_again(mirror, home, status):
    mirror.files["/set/a.bin"] = BODY
    mirror.script = [status]
    with pytest.raises(DownloadError, match=status) as caught:
        fetch("set", FILE)
    text = str(caught.value)
    assert f"{mirror.url}/set/a.bin" in text
    assert str(home / "datasets" / "set" / "a.bin") in text
    assert "path=" in text
    assert isinstance(caught.value, OSError) and isinstance(caught.value, FastnnError)
    assert len(mirror.requests) == 1
    assert left_over(home) == []


@pytest.mark.parametrize("faults", [["503"], ["truncate", "500"], ["429", "truncate"]])
def test_passing_faults_are_tried_again(mirror, home, faults):
    mirror.files["/set/a.bin"] = BODY
    mirror.script = list(faults)
    assert fetch("set", FILE).read_bytes() == BODY
    assert len(mirror.requests) == len(faults) + 1
    assert left_over(home) == ["a.bin"]


def test_lasting_truncation_is_an_error_and_leaves_nothing(mirror, home):
    mirror.files["/set/a.bin"] = BODY
    mirror.script = ["truncate"] * 9
    with pytest.raises(DownloadError, match="connection"):
        fetch("set", FILE)
    assert len(mirror.requests) == 3
    assert left_over(home) == []


def test_endless_answer_is_cut(mirror, home, monkeypatch):
    mirror.files["/set/a.bin"] = BODY
    monkeypatch.setattr("fastnn.datasets._download._MAX_BYTES", 1000)
    with pytest.raises(DownloadError, match="more than 1000 bytes"):
        fetch("set", FILE)
    assert left_over(home) == []


def test_no_server_says_what_to_put_where(home, monkeypatch):
    monkeypatch.setattr("fastnn.utils.downloads._PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("FASTNN_DATASETS_URL", "http://127.0.0.1:9/nobody")
    with pytest.raises(DownloadError) as caught:
        fetch("set", FILE)
    assert "http://127.0.0.1:9/nobody/set/a.bin" in str(caught.value)
    assert str(home / "datasets" / "set" / "a.bin") in str(caught.value)
    assert left_over(home) == []


def test_download_false_never_asks(mirror, home):
    mirror.files["/set/a.bin"] = BODY
    with pytest.raises(DownloadError, match="not cached"):
        fetch("set", FILE, download=False)
    assert mirror.requests == []


def test_file_put_by_hand_is_verified(mirror, home):
    target = home / "datasets" / "set" / "a.bin"
    target.parent.mkdir(parents=True)
    target.write_bytes(BODY)
    assert fetch("set", FILE, download=False) == target
    target.write_bytes(BODY[:100])
    with pytest.raises(DownloadError, match="Delete it"):
        fetch("set", FILE)
    assert mirror.requests == []


def test_concurrent_downloads_agree(mirror, home):
    mirror.files["/set/a.bin"] = BODY
    # The barrier holds every answer back until all three have asked.
    mirror.barrier = threading.Barrier(3)
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetch("set", FILE), range(3)))
    assert len(mirror.requests) == 3
    assert set(paths) == {home / "datasets" / "set" / "a.bin"}
    assert paths[0].read_bytes() == BODY
    assert left_over(home) == ["a.bin"]


def test_final_name_is_never_partial(mirror, home):
    """A process killed in the middle of a download leaves no file of the final name."""
    mirror.files["/set/a.bin"] = BODY
    code = (
        "import os, fastnn.datasets._download as d\n"
        "d.Path.replace = lambda *a: os._exit(9)\n"
        f"d.fetch('set', d.RemoteFile({FILE.name!r}, {FILE.url!r}, {FILE.digest!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 9
    assert not (home / "datasets" / "set" / "a.bin").exists()
    assert fetch("set", FILE).read_bytes() == BODY


def test_only_http_addresses(home, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_DATASETS_URL", tmp_path.as_uri())
    with pytest.raises(ValueError, match="not http"):
        source_url("set", FILE)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_HOME", str(tmp_path / "h"))
    assert cache_folder("x") == tmp_path / "h" / "datasets" / "x"
    if os.name == "posix":
        monkeypatch.delenv("FASTNN_HOME")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache_folder("x") == tmp_path / "xdg" / "fastnn" / "datasets" / "x"
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert cache_folder("x") == Path.home() / ".cache" / "fastnn" / "datasets" / "x"
