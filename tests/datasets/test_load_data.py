# SPDX-License-Identifier: Apache-2.0
"""`load_data` of each set: from the mirror, from a path, and the real files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest

from fastnn.datasets import california_housing, fashion_mnist, mnist
from fastnn.datasets._download import RemoteFile
from fastnn.datasets._errors import DataFileError, DownloadError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
IMAGE_SETS = [mnist, fashion_mnist]
STEMS = [Path(file.name).stem for file in mnist.FILES]


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.tobytes()


def small_arrays() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    sizes = ((20, 28, 28), (20,), (6, 28, 28), (6,))
    return [draw.integers(0, 10, size, dtype=np.uint8) for size in sizes]


def check_equal(loaded, arrays) -> None:
    (x_train, y_train), (x_test, y_test) = loaded
    for got, want in zip((x_train, y_train, x_test, y_test), arrays, strict=True):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("module", IMAGE_SETS)
def test_images_from_the_mirror(module, mirror, monkeypatch):
    name = module.__name__.rpartition(".")[2]
    arrays = small_arrays()
    bodies = [gzip.compress(idx(array)) for array in arrays]
    files = tuple(
        RemoteFile(file.name, file.url, hashlib.sha256(body).hexdigest())
        for file, body in zip(module.FILES, bodies, strict=True)
    )
    monkeypatch.setattr(module, "FILES", files)
    for file, body in zip(files, bodies, strict=True):
        mirror.files[f"/{name}/{file.name}"] = body
    with pytest.raises(DownloadError, match="not cached"):
        module.load_data(download=False)
    check_equal(module.load_data(), arrays)
    check_equal(module.load_data(download=False), arrays)
    assert len(mirror.requests) == 4


@pytest.mark.parametrize("module", IMAGE_SETS)
def test_published_hashes_are_pinned(module):
    assert len({file.digest for file in module.FILES}) == 4
    for file in (*module.FILES, california_housing.FILE):
        assert len(bytes.fromhex(file.digest)) == 32
        assert file.url.startswith("https://") and file.url.endswith(file.name)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dotted", [False, True])
def test_images_from_a_folder(tmp_path, ending, dotted):
    arrays = small_arrays()
    for stem, array in zip(STEMS, arrays, strict=True):
        name = stem.replace("-idx", ".idx") if dotted else stem
        data = idx(array)
        body = gzip.compress(data) if ending else data
        (tmp_path / (name + ending)).write_bytes(body)
    check_equal(mnist.load_data(tmp_path), arrays)
    check_equal(fashion_mnist.load_data(str(tmp_path)), arrays)


def test_images_from_npz(tmp_path, monkeypatch):
    arrays = small_arrays()
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(tmp_path / "mnist.npz", **dict(zip(names, arrays, strict=True)))
    check_equal(mnist.load_data(tmp_path / "mnist.npz"), arrays)
    monkeypatch.chdir(tmp_path)
    check_equal(mnist.load_data("mnist.npz"), arrays)


def test_keras_default_name_means_the_cache(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DownloadError, match="not cached"):
        mnist.load_data("mnist.npz", download=False)
    with pytest.raises(DownloadError, match="not cached"):
        california_housing.load_data(path="california_housing.npz", download=False)


def test_image_path_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        mnist.load_data(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="has none of train-images"):
        mnist.load_data(tmp_path)
    junk = tmp_path / "junk.npz"
    junk.write_bytes(b"junk")
    with pytest.raises(DataFileError, match=r"is not an \.npz file"):
        mnist.load_data(junk)
    np.savez(junk, x_train=np.zeros(3))
    with pytest.raises(DataFileError, match="lacks y_train"):
        mnist.load_data(junk)


def test_images_and_labels_must_fit(tmp_path):
    arrays = small_arrays()
    arrays[1] = arrays[1][:-1]
    for stem, array in zip(STEMS, arrays, strict=True):
        (tmp_path / stem).write_bytes(idx(array))
    with pytest.raises(DataFileError, match=r"train part .* \(20, 28, 28\) .* \(19,\)"):
        mnist.load_data(tmp_path)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([[{}]], dtype=object), y=np.zeros(1))
    with pytest.raises(DataFileError, match="pickle"):
        california_housing.load_data(path=tmp_path / "x.npz")


def keras_split(x, y, test_split, seed):
    """Keras's procedure, written out: shuffle indices, cut once."""
    indices = np.arange(len(x))
    np.random.RandomState(seed).shuffle(indices)
    x, y = x[indices], y[indices]
    rows = int(len(x) * (1 - test_split))
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


@pytest.mark.parametrize(("version", "rows"), [("large", 700), ("small", 600)])
@pytest.mark.parametrize(("test_split", "seed"), [(0.2, 113), (0.25, 1), (0.0, 2)])
def test_california_from_the_mirror(
    mirror, monkeypatch, version, rows, test_split, seed
):
    x = np.arange(700 * 8, dtype=np.float32).reshape(700, 8)
    y = np.arange(700, dtype=np.float32)
    body = io.BytesIO()
    np.savez(body, x=x, y=y)
    file = california_housing.FILE._replace(
        digest=hashlib.sha256(body.getvalue()).hexdigest()
    )
    monkeypatch.setattr(california_housing, "FILE", file)
    mirror.files[f"/california_housing/{file.name}"] = body.getvalue()
    got = california_housing.load_data(version, test_split=test_split, seed=seed)
    want = keras_split(x[:rows], y[:rows], test_split, seed)
    for got_part, want_part in zip(got, want, strict=True):
        for one, other in zip(got_part, want_part, strict=True):
            np.testing.assert_array_equal(one, other)


def test_california_from_csv(tmp_path):
    path = tmp_path / "h.csv"
    path.write_text("median_house_value,kind,rooms,age\n10,a,1,2\n20,b,,4\n30,c,5,6\n")
    (x_train, y_train), (x_test, y_test) = california_housing.load_data(
        path=path, test_split=0.34, seed=0
    )
    assert x_train.shape == (1, 2) and x_test.shape == (2, 2)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    np.testing.assert_array_equal(
        x[np.argsort(y)], [[1.0, 2.0], [np.nan, 4.0], [5.0, 6.0]]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no numeric column MedHouseVal"),
        ("MedHouseVal,b\nx,2\n", "no numeric column"),
        ("MedHouseVal,b\n1,x\n", "no numeric features"),
    ],
)
def test_california_csv_errors(tmp_path, text, message):
    path = tmp_path / "h.csv"
    path.write_text(text)
    with pytest.raises(DataFileError, match=message):
        california_housing.load_data(path=path)


@pytest.mark.parametrize("kwargs", [{"test_split": 1.0}, {"test_split": -0.1}])
def test_california_bad_arguments(kwargs):
    with pytest.raises(ValueError, match="test_split"):
        california_housing.load_data(**kwargs)
    with pytest.raises(ValueError, match="version='tiny'"):
        california_housing.load_data("tiny")


real = pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data beside the tree")


@pytest.mark.feature("1B-2")
@real
def test_real_mnist():
    """The published content: SHA-256 of the unpacked IDX files."""
    (x_train, y_train), (x_test, y_test) = mnist.load_data(REAL / "mnist")
    digests = [
        hashlib.sha256(idx(array)).hexdigest()[:16]
        for array in (x_train, y_train, x_test, y_test)
    ]
    assert digests == [
        "ba891046e6505d7a",
        "65a50cbbf4e906d7",
        "0fa7898d509279e4",
        "ff7bcfd416de3373",
    ]


@real
def test_real_california_split():
    path = REAL / "california_housing.csv.gz"
    (x, y), (x_test, y_test) = california_housing.load_data(path=path, test_split=0.25)
    assert x.shape == (15480, 8) and y.shape == (15480,)
    assert x_test.shape == (5160, 8) and y_test.shape == (5160,)
    assert np.isfinite(x).all() and 0.1 < y.min() < y.max() < 5.1


@real
def test_real_housing_with_text_and_missing_values():
    path = REAL / "housing_with_ocean_proximity.csv.gz"
    (x, _), (x_test, _) = california_housing.load_data(path=path)
    assert x.shape[1] == x_test.shape[1] == 8
    assert np.isnan(np.concatenate([x, x_test])).sum() == 207
