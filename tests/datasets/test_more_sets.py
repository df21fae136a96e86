# SPDX-License-Identifier: Apache-2.0
"""CIFAR, Boston, IMDB and Reuters, from small files made here."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fastnn import config
from fastnn.datasets import boston_housing, cifar10, cifar100, imdb, reuters
from fastnn.datasets._errors import DataFileError, DownloadError

RNG = np.random.default_rng(0)


def packed(value: object) -> bytes:
    """A pickle as an old NumPy wrote it."""
    return pickle.dumps(value, 3).replace(b"numpy._core", b"numpy.core")


def cifar(count: int, *labels: str) -> tuple[dict[bytes, object], np.ndarray]:
    pixels = RNG.integers(0, 256, (count, 3072), "uint8")
    drawn = {name.encode(): RNG.integers(0, 10, count).tolist() for name in labels}
    return {b"data": pixels, **drawn}, pixels


def archive(path: Path, folder: str, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def ten(tmp_path: Path) -> tuple[Path, list[dict[bytes, object]]]:
    parts = [cifar(4, "labels")[0] for _ in range(6)]
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = dict(zip(names, map(packed, parts), strict=True))
    return archive(tmp_path / "c.tar.gz", "cifar-10-batches-py", files), parts


def images(parts: list[dict[bytes, object]]) -> np.ndarray:
    flat = np.concatenate([part[b"data"] for part in parts])
    planes = flat.reshape(-1, 3, 32, 32)
    return np.stack([planes[:, c] for c in range(3)], axis=-1)


def test_cifar10(tmp_path) -> None:
    path, parts = ten(tmp_path)
    (x, y), (x_test, y_test) = cifar10.load_data(path)
    assert x.shape == (20, 32, 32, 3) and x_test.shape == (4, 32, 32, 3)
    assert {a.dtype for a in (x, y, x_test, y_test)} == {np.dtype("uint8")}
    np.testing.assert_array_equal(x, images(parts[:5]))
    np.testing.assert_array_equal(x_test, images(parts[5:]))
    assert y.shape == (20, 1) and y[4:8, 0].tolist() == parts[1][b"labels"]
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "unpacked")
    for folder in (tmp_path / "unpacked", tmp_path / "unpacked/cifar-10-batches-py"):
        again = cifar10.load_data(folder)
        np.testing.assert_array_equal(again[0][0], x)
    config.set_image_data_format("channels_first")
    try:
        assert cifar10.load_data(path)[0][0].shape == (20, 3, 32, 32)
    finally:
        config.set_image_data_format("channels_last")


def test_cifar10_from_the_mirror(tmp_path, mirror, monkeypatch) -> None:
    path, parts = ten(tmp_path)
    body = path.read_bytes()
    file = cifar10.FILE._replace(digest=hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(cifar10, "FILE", file)
    mirror.files[f"/cifar10/{file.name}"] = body
    with pytest.raises(DownloadError, match=r"not cached(.|\n)*Download(.|\n)*put it"):
        cifar10.load_data(download=False)
    (x, _), _ = cifar10.load_data()
    np.testing.assert_array_equal(x, images(parts[:5]))
    cifar10.load_data(download=False)
    assert len(mirror.requests) == 1


@pytest.mark.parametrize("mode", ["fine", "coarse"])
def test_cifar100(tmp_path, mode) -> None:
    parts = [cifar(n, "fine_labels", "coarse_labels")[0] for n in (6, 3)]
    files = dict(zip(("train", "test"), map(packed, parts), strict=True))
    path = archive(tmp_path / "c.tar.gz", "cifar-100-python", files)
    (x, y), (x_test, y_test) = cifar100.load_data(mode, path)
    np.testing.assert_array_equal(x, images(parts[:1]))
    assert y[:, 0].tolist() == parts[0][f"{mode}_labels".encode()]
    assert y_test.shape == (3, 1) and y_test.dtype == np.int64
    assert x_test.dtype == np.uint8
    with pytest.raises(ValueError, match="label_mode must be"):
        cifar100.load_data("rough", path)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)


def test_pickles_run_no_code(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = {name: pickle.dumps({b"data": Evil()}, 3) for name in ("train", "test")}
    path = archive(tmp_path / "c.tar.gz", "cifar-100-python", files)
    with pytest.raises(DataFileError, match=r"asks for \w+\.system"):
        cifar100.load_data(path=path)
    np.savez(tmp_path / "r.npz", x=np.array([Evil(), [1]], object), y=np.zeros(2))
    with pytest.raises(DataFileError, match="asks for"):
        reuters.load_data(tmp_path / "r.npz")
    assert not (tmp_path / "evil").exists()


def test_damaged_archives(tmp_path) -> None:
    (tmp_path / "c.tar.gz").write_bytes(b"nothing")
    with pytest.raises(DataFileError, match="no tar archive"):
        cifar10.load_data(tmp_path / "c.tar.gz")
    path = archive(tmp_path / "d.tar.gz", "x", {"train": packed({b"data": 1})})
    with pytest.raises(DataFileError, match="lacks test"):
        cifar100.load_data(path=path)
    with pytest.raises(FileNotFoundError, match="has no train"):
        cifar100.load_data(path=tmp_path)


@pytest.mark.parametrize(("split", "seed"), [(0.2, 113), (0.5, 1)])
def test_boston_housing(tmp_path, split, seed) -> None:
    x, y = RNG.normal(size=(20, 13)), RNG.normal(size=20)
    np.savez(tmp_path / "b.npz", x=x, y=y)
    order = np.arange(20)
    np.random.RandomState(seed).shuffle(order)
    rows = int(20 * (1 - split))
    got = boston_housing.load_data(tmp_path / "b.npz", split, seed)
    for (a, b), places in zip(got, (order[:rows], order[rows:]), strict=True):
        np.testing.assert_array_equal(a, x[places])
        np.testing.assert_array_equal(b, y[places])
    with pytest.raises(ValueError, match="test_split"):
        boston_housing.load_data(tmp_path / "b.npz", 1.0)


# ---- texts -------------------------------------------------------------------------


def lists(count: int) -> np.ndarray:
    drawn = [RNG.integers(1, 30, RNG.integers(3, 9)).tolist() for _ in range(count)]
    array = np.empty(count, object)
    array[:] = drawn
    return array


def keras_words(x, start_char, index_from, num_words, skip_top, oov_char):
    """Keras's procedure on one list."""
    moved = [w + index_from for w in x] if index_from else list(x)
    moved = ([] if start_char is None else [start_char]) + moved
    kept = [skip_top <= w < num_words for w in moved]
    if oov_char is None:
        return [w for w, k in zip(moved, kept, strict=True) if k]
    return [w if k else oov_char for w, k in zip(moved, kept, strict=True)]


OPTIONS = [
    {},
    {"num_words": 20, "skip_top": 6},
    {"num_words": 15, "oov_char": None},
    {"start_char": None, "index_from": 0},
    {"maxlen": 7, "seed": 3},
]


def expected(x, y, options):
    options = {"num_words": None, "skip_top": 0, "maxlen": None, "seed": 113} | options
    options = {"start_char": 1, "oov_char": 2, "index_from": 3} | options
    order = np.arange(len(x))
    np.random.RandomState(options.pop("seed")).shuffle(order)
    limit, most = options.pop("maxlen"), options.pop("num_words")
    extra = 0 if options["start_char"] is None else 1
    chosen = [i for i in order if limit is None or len(x[i]) + extra < limit]
    return chosen, most, options


@pytest.mark.parametrize("options", OPTIONS)
def test_reuters(tmp_path, options) -> None:
    x, y = lists(30), RNG.integers(0, 46, 30)
    np.savez(tmp_path / "r.npz", x=x, y=y)
    (a, b), (c, d) = reuters.load_data(tmp_path / "r.npz", test_split=0.3, **options)
    chosen, most, rest = expected(x, y, options)
    every = max(max(v) for v in x[chosen]) + rest["index_from"]
    want = [keras_words(x[i], num_words=most or every, **rest) for i in chosen]
    assert [*a, *c] == want and len(a) == int(len(want) * 0.7)
    np.testing.assert_array_equal(np.concatenate([b, d]), y[chosen])
    assert a.dtype == object and len(reuters.get_label_names()) == 46


@pytest.mark.parametrize("options", OPTIONS)
def test_imdb(tmp_path, options) -> None:
    parts = {"x_train": lists(12), "x_test": lists(9)}
    parts |= {"y_train": RNG.integers(0, 2, 12), "y_test": RNG.integers(0, 2, 9)}
    np.savez(tmp_path / "i.npz", **parts)
    got = imdb.load_data(tmp_path / "i.npz", **options)
    found = []
    for name in ("train", "test"):
        x, y = parts[f"x_{name}"], parts[f"y_{name}"]
        found.append((x, y, *expected(x, y, options)))
    every = max(max(max(v) for v in x[c]) for x, _, c, _, _ in found)
    for (a, b), (x, y, chosen, most, rest) in zip(got, found, strict=True):
        most = most or every + rest["index_from"]
        assert [*a] == [keras_words(x[i], num_words=most, **rest) for i in chosen]
        np.testing.assert_array_equal(b, y[chosen])


def test_no_text_is_short_enough(tmp_path) -> None:
    np.savez(tmp_path / "r.npz", x=lists(3), y=np.zeros(3))
    with pytest.raises(ValueError, match="no sequence is shorter than maxlen=2"):
        reuters.load_data(tmp_path / "r.npz", maxlen=2)


@pytest.mark.parametrize("module", [imdb, reuters])
def test_word_indices(module, mirror, monkeypatch, tmp_path) -> None:
    name = module.__name__.rpartition(".")[2]
    body = json.dumps({"the": 1, "café": 2}).encode()
    file = module.WORDS._replace(digest=hashlib.md5(body).hexdigest())
    monkeypatch.setattr(module, "WORDS", file)
    monkeypatch.chdir(tmp_path)
    mirror.files[f"/{name}/{file.name}"] = body
    with pytest.raises(DownloadError, match="not cached"):
        module.get_word_index(download=False)
    assert module.get_word_index() == {"the": 1, "café": 2}
    mirror.files[f"/{name}/{file.name}"] = body + b" "
    for cached in mirror_cache(name):
        cached.unlink()
    with pytest.raises(DownloadError, match="sent a file with md5"):
        module.get_word_index()


def mirror_cache(name: str) -> list[Path]:
    return list(Path(os.environ["FASTNN_HOME"], "datasets", name).iterdir())
