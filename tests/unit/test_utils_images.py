# SPDX-License-Identifier: Apache-2.0
"""Images in files and as arrays, against Pillow itself."""

from __future__ import annotations

import builtins
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import utils

RNG = np.random.default_rng(2)
Image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("form", ["channels_last", "channels_first"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_there_and_back(channels: int, form: str) -> None:
    x = RNG.integers(0, 256, (5, 7, channels))
    given = x if form == "channels_last" else x.transpose(2, 0, 1)
    img = utils.array_to_img(given, form, scale=False)
    assert img.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    assert img.size == (7, 5)
    back = utils.img_to_array(img, form)
    assert back.dtype == "float32"
    np.testing.assert_array_equal(back, given)


def test_scaling_and_many_bits() -> None:
    x = np.array([[[-1.0], [0.0], [3.0]]])
    img = utils.array_to_img(x)
    np.testing.assert_array_equal(np.asarray(img), [[0, 63, 255]])
    flat = utils.array_to_img(np.full((2, 2, 3), 9.0))
    assert not np.asarray(flat).any()
    deep = utils.array_to_img(x * 300, scale=False)
    assert deep.mode == "I"
    assert utils.img_to_array(deep, dtype="int32")[0, 2, 0] == 900


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_files_there_and_back(tmp_path: Path, suffix: str) -> None:
    x = RNG.integers(0, 256, (6, 4, 3)).astype("float32")
    path = tmp_path / f"image.{suffix}"
    utils.save_img(path, x, scale=False)
    for given in (path, str(path), str(path).encode(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(utils.img_to_array(utils.load_img(given)), x)
    gray = utils.load_img(path, "grayscale")
    assert gray.mode == "L"
    assert utils.load_img(path, "rgba").mode == "RGBA"
    buffer = io.BytesIO()
    utils.save_img(buffer, x, file_format="png", scale=False)
    np.testing.assert_array_equal(np.asarray(Image.open(buffer)), x)


def test_sixteen_bits_of_gray_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[1000, 2]], "uint16")).save(path)
    np.testing.assert_array_equal(
        utils.img_to_array(utils.load_img(path, "grayscale"))[..., 0], [[1000, 2]]
    )


def test_a_jpeg_has_no_transparency(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    with pytest.warns(UserWarning, match="saved as RGB"):
        utils.save_img(path, RNG.random((8, 8, 4)))
    assert utils.load_img(path).size == (8, 8)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "lanczos", "box"])
def test_resizing_while_reading(tmp_path: Path, interpolation: str) -> None:
    path = tmp_path / "image.png"
    utils.save_img(path, RNG.random((6, 12, 3)))
    img = utils.load_img(path)
    method = getattr(Image.Resampling, interpolation.upper())
    small = utils.load_img(path, target_size=(3, 4), interpolation=interpolation)
    np.testing.assert_array_equal(small, img.resize((4, 3), method))
    middle = utils.load_img(
        path, target_size=(3, 3), interpolation=interpolation, keep_aspect_ratio=True
    )
    cut = img.resize((3, 3), method, box=(3, 0, 9, 6))
    np.testing.assert_array_equal(middle, cut)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: utils.array_to_img(np.ones((2, 2))), ValueError, "rank 3"),
        (lambda: utils.array_to_img(np.ones((2, 2, 2))), ValueError, "channels"),
        (lambda: utils.array_to_img(np.ones((2, 2, 1)), "first"), ValueError, "form"),
        (lambda: utils.img_to_array(np.ones(3)), ValueError, "rank 2 or 3"),
        (lambda: utils.load_img(3), TypeError, "path must"),
        (lambda: utils.load_img("x.png", "hsv"), ValueError, "color_mode"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=rf"^\[\w+\].*{text}"):
        call()


def test_an_unknown_interpolation(tmp_path: Path) -> None:
    utils.save_img(tmp_path / "a.png", np.ones((2, 2, 3)))
    with pytest.raises(ValueError, match="interpolation must"):
        utils.load_img(tmp_path / "a.png", target_size=(4, 4), interpolation="sinc")


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def missing(name: str, *args: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError(name)
        return plain(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    for call in (lambda: utils.load_img("a.png"), lambda: utils.array_to_img([])):
        with pytest.raises(ImportError, match=r"pip install \"fastnn-dl\[images\]\""):
            call()
