# SPDX-License-Identifier: Apache-2.0
"""Data sets of the files in folders."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from fastnn import Input, Sequential, layers, preprocessing
from fastnn.utils import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    save_img,
    text_dataset_from_directory,
)
from fastnn.utils.directory_datasets import AudioFileError, read_wav, smart_resize

pytest.importorskip("PIL")


def value(name: str) -> int:
    return int(Path(name).stem)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folders b, a with 4 and 6 pictures of 6x8; all pixels are the file's number."""
    for number in range(10):
        folder = tmp_path / "images" / ("b" if number < 4 else "a")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((6, 8, 3), number, "uint8")
        save_img(folder / f"{number}.png", pixels, scale=False)
    (tmp_path / "images" / "a" / "notes.txt").write_text("no image")
    (tmp_path / "images" / ".hidden").mkdir()
    return tmp_path / "images"


def test_images_with_labels_of_their_folders(pictures, capsys) -> None:
    found = image_dataset_from_directory(
        pictures, batch_size=4, image_size=(3, 4), shuffle=False
    )
    assert capsys.readouterr().out == "Found 10 files belonging to 2 classes.\n"
    assert found.class_names == ["a", "b"] and len(found) == 3
    x = np.concatenate([batch[0] for batch in found])
    y = np.concatenate([batch[1] for batch in found])
    assert x.shape == (10, 3, 4, 3) and x.dtype == np.float32 and y.dtype == np.int32
    numbers = [4, 5, 6, 7, 8, 9, 0, 1, 2, 3]
    np.testing.assert_allclose(x[:, 0, 0, 0], numbers, atol=1e-5)
    assert y.tolist() == [0] * 6 + [1] * 4
    assert [value(path) for path in found.file_paths] == numbers


@pytest.mark.parametrize(
    ("mode", "dtype", "rows"),
    [
        ("binary", "float32", [[0.0]] * 6 + [[1.0]] * 4),
        ("categorical", "float32", [[1.0, 0.0]] * 6 + [[0.0, 1.0]] * 4),
        ("int", "int32", [0] * 6 + [1] * 4),
    ],
)
def test_modes_of_labels(pictures, mode, dtype, rows) -> None:
    found = image_dataset_from_directory(
        pictures, label_mode=mode, image_size=2, shuffle=False, verbose=False
    )
    _, y = found[0]
    assert y.dtype == dtype and y.tolist() == rows


def test_without_labels_and_with_labels_of_a_list(pictures) -> None:
    options = {"image_size": (2, 2), "shuffle": False, "verbose": False}
    plain = image_dataset_from_directory(pictures, labels=None, **options)
    assert plain.class_names is None and plain[0].shape == (10, 2, 2, 3)
    given = image_dataset_from_directory(pictures, labels=list(range(10)), **options)
    assert given[0][1].tolist() == list(range(10))
    assert given.class_names == [str(i) for i in range(10)]
    turned = image_dataset_from_directory(pictures, class_names=["b", "a"], **options)
    assert turned[0][1].tolist() == [0] * 4 + [1] * 6


def test_parts_for_training_and_validation(pictures, capsys) -> None:
    options = {"validation_split": 0.3, "seed": 5, "image_size": (2, 2)}
    train, held = image_dataset_from_directory(pictures, subset="both", **options)
    text = capsys.readouterr().out
    assert "Using 7 files for training." in text and "Using 3 files for val" in text
    alone = image_dataset_from_directory(pictures, subset="validation", **options)
    assert held.file_paths == alone.file_paths
    everything = sorted(train.file_paths + held.file_paths)
    assert len(set(everything)) == 10
    names = {"a": 0, "b": 1}
    for part in (train, held):
        labels = np.concatenate([y for _, y in part])
        assert labels.tolist() == [names[Path(p).parent.name] for p in part.file_paths]


def test_shuffled_paths_are_keras_and_epochs_differ(pictures) -> None:
    found = image_dataset_from_directory(pictures, image_size=2, seed=7, verbose=False)
    paths = [*sorted(pictures.glob("a/*.png")), *sorted(pictures.glob("b/*.png"))]
    np.random.RandomState(7).shuffle(paths)
    assert found.file_paths == [str(p) for p in paths]
    first = found[0][0][:, 0, 0, 0]
    found.on_epoch_end()
    second = found[0][0][:, 0, 0, 0]
    assert sorted(first) == pytest.approx(sorted(second))
    assert first.tolist() != second.tolist()


def test_colours_formats_and_single_images(pictures) -> None:
    options = {"shuffle": False, "verbose": False, "batch_size": None}
    x, y = image_dataset_from_directory(
        pictures, color_mode="grayscale", image_size=(3, 5), **options
    )[0]
    assert x.shape == (3, 5, 1) and y == 0
    x, _ = image_dataset_from_directory(
        pictures, color_mode="rgba", data_format="channels_first", **options
    )[0]
    assert x.shape == (4, 256, 256)


def test_proportions(tmp_path) -> None:
    (tmp_path / "c").mkdir()
    pixels = np.zeros((4, 8, 3), "uint8")
    pixels[:, 2:6] = 200
    save_img(tmp_path / "c" / "0.png", pixels, scale=False)
    options = {"image_size": (4, 4), "interpolation": "nearest", "verbose": False}
    cut, _ = image_dataset_from_directory(
        tmp_path, crop_to_aspect_ratio=True, **options
    )[0]
    assert (cut == 200).all()
    padded, _ = image_dataset_from_directory(
        tmp_path, pad_to_aspect_ratio=True, **options
    )[0]
    assert (padded[0, [0, 3]] == 0).all() and (padded[0, 1:3, 1:3] == 200).all()


def test_a_model_learns_from_a_folder(pictures) -> None:
    found = image_dataset_from_directory(
        pictures, image_size=(2, 2), batch_size=5, label_mode="binary", verbose=False
    )
    model = Sequential(
        [Input((2, 2, 3)), layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    )
    model.compile("adam", "binary_crossentropy")
    losses = model.fit(found, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"labels": "folders"}, ValueError, 'must be "inferred"'),
        ({"labels": None, "class_names": ["a"]}, ValueError, "class_names goes with"),
        ({"labels": [1, 2]}, ValueError, "2 labels for the 10 files"),
        ({"label_mode": "one_hot"}, ValueError, "label_mode must be"),
        ({"class_names": ["z"]}, ValueError, "names of folders"),
        ({"class_names": ["a"], "label_mode": "binary"}, ValueError, "exactly 2"),
        ({"color_mode": "cmyk"}, ValueError, "color_mode must be"),
        ({"image_size": (1, 2, 3)}, ValueError, "image_size must be"),
        ({"interpolation": "area"}, ValueError, "interpolation must be"),
        ({"validation_split": 0.5}, ValueError, "go together"),
        ({"subset": "training"}, ValueError, "go together"),
        ({"validation_split": 2, "subset": "both"}, ValueError, "between 0 and 1"),
        ({"validation_split": 0.5, "subset": "x"}, ValueError, "subset must be"),
        ({"validation_split": 0.5, "subset": "both"}, ValueError, "give a seed"),
        ({"format": "jax"}, ValueError, "format must be"),
        ({"batch_size": 0}, ValueError, "batch_size must be"),
        ({"directory": "nowhere"}, FileNotFoundError, "no folder 'nowhere'"),
    ],
)
def test_mistakes(pictures, options, error, match) -> None:
    with pytest.raises(error, match=match):
        image_dataset_from_directory(**{"directory": pictures, **options})


def test_a_folder_without_images(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"no files in .*one of \.bmp"):
        image_dataset_from_directory(tmp_path, verbose=False)


# ---- texts and sounds ----------------------------------------------------------------


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for label, words in (("neg", ["bad", "awful é"]), ("pos", ["good"])):
        folder = tmp_path / "texts" / label
        folder.mkdir(parents=True)
        for i, word in enumerate(words):
            (folder / f"{i}.txt").write_text(word, encoding="utf-8")
    return tmp_path / "texts"


def test_texts(texts) -> None:
    options = {"shuffle": False, "verbose": False}
    x, y = text_dataset_from_directory(texts, max_length=7, **options)[0]
    assert x.numpy().tolist() == [b"bad", b"awful \xc3", b"good"]
    assert y.tolist() == [0, 0, 1]
    x, _ = text_dataset_from_directory(texts, max_length=7, format="grain", **options)[
        0
    ]
    assert x == ["bad", "awful é", "good"]


def write_wav(path: Path, samples: np.ndarray, width: int, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = np.round(samples * 2 ** (8 * width - 1)).astype("int64")
    data = b"".join(
        int(v + 128 * (width == 1)).to_bytes(width, "little", signed=width > 1)
        for v in whole.ravel()
    )
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav_files(tmp_path, width) -> None:
    samples = np.array([[0.0, 0.5], [-1.0, 0.25], [-0.25, 0.125]])
    write_wav(tmp_path / "a.wav", samples, width)
    found, rate = read_wav(str(tmp_path / "a.wav"))
    assert found.dtype == np.float32 and rate == 8000
    np.testing.assert_allclose(found, samples)


def test_sounds(tmp_path) -> None:
    write_wav(tmp_path / "a" / "0.wav", np.full((4, 1), 0.5), 2)
    write_wav(tmp_path / "b" / "0.wav", np.full((6, 1), -0.5), 2)
    options = {"shuffle": False, "verbose": False}
    x, y = audio_dataset_from_directory(tmp_path, **options)[0]
    assert x.shape == (2, 6, 1) and y.tolist() == [0, 1]
    assert x[0, :, 0].tolist() == [0.5] * 4 + [0.0] * 2
    x, _ = audio_dataset_from_directory(tmp_path, output_sequence_length=5, **options)[
        0
    ]
    assert x.shape == (2, 5, 1)
    x, _ = audio_dataset_from_directory(tmp_path, ragged=True, **options)[0]
    assert [len(row) for row in x.numpy()] == [4, 6]
    parts = audio_dataset_from_directory(
        tmp_path, validation_split=0.5, subset="both", seed=1, verbose=False
    )
    assert isinstance(parts, tuple) and [len(p) for p in parts] == [1, 1]


def test_sounds_at_another_rate(tmp_path) -> None:
    pytest.importorskip("scipy")
    t = np.arange(800) / 8000
    write_wav(tmp_path / "a" / "0.wav", 0.5 * np.sin(2 * np.pi * 200 * t)[:, None], 2)
    x, _ = audio_dataset_from_directory(tmp_path, sampling_rate=4000, verbose=False)[0]
    want = 0.5 * np.sin(2 * np.pi * 200 * t[::2])
    assert x.shape == (1, 400, 1)
    np.testing.assert_allclose(x[0, 40:-40, 0], want[40:-40], atol=0.01)


def test_mistakes_of_sounds(tmp_path) -> None:
    with pytest.raises(ValueError, match="only one of ragged"):
        audio_dataset_from_directory(tmp_path, ragged=True, output_sequence_length=3)
    with pytest.raises(ValueError, match="sampling_rate must be"):
        audio_dataset_from_directory(tmp_path, sampling_rate=-1)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "0.wav").write_bytes(b"RIFF....no sound")
    found = audio_dataset_from_directory(tmp_path, verbose=False)
    with pytest.raises(AudioFileError, match="no WAV file"):
        found[0]


def test_smart_resize() -> None:
    image = np.zeros((4, 8, 1), "float32")
    image[:, 2:6] = 9.0
    assert (smart_resize(image, (2, 2)) == 9.0).all()
    assert smart_resize(image[None], (4, 2)).shape == (1, 4, 2, 1)
    assert isinstance(smart_resize(image, (2, 2)), np.ndarray)
    with pytest.raises(ValueError, match="received shape"):
        smart_resize(image[0], (2, 2))


def test_the_older_places() -> None:
    assert preprocessing.image_dataset_from_directory is image_dataset_from_directory
    assert preprocessing.text_dataset_from_directory is text_dataset_from_directory
    assert preprocessing.image.smart_resize is smart_resize
    padded = preprocessing.sequence.pad_sequences([[1], [2, 3]])
    assert padded.tolist() == [[0, 1], [2, 3]]
