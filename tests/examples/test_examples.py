# SPDX-License-Identifier: Apache-2.0
"""Every example runs, with tiny settings, and does what it says."""

from __future__ import annotations

import importlib.util
import re
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, ROOT / "examples" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(head + array.tobytes())


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """300 pictures of 4x4 whose class is the place of one bright pixel."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 300), ("t10k", 100)):
        y = draw.integers(0, 10, count, dtype=np.uint8)
        x = draw.integers(0, 60, (count, 4, 4), dtype=np.uint8)
        x.reshape(count, 16)[np.arange(count), y] = 255
        write_idx(folder / f"{part}-images-idx3-ubyte", x)
        write_idx(folder / f"{part}-labels-idx1-ubyte", y)
    return folder


def test_mnist_mlp(digits, tmp_path, capsys):
    out = tmp_path / "out"
    tiny = ["--batch", "16", "--hidden", "32", "--epochs", "30"]
    accuracy = load("mnist_mlp").main(
        ["--data", str(digits), "--output", str(out), *tiny]
    )
    assert accuracy > 0.95
    printed = capsys.readouterr().out
    assert f"test accuracy: {accuracy:.4f}" in printed
    assert re.search(r"training speed: [\d,]+ samples per second", printed)
    assert (out / "learning_curves.png").read_bytes().startswith(b"\x89PNG")
    with np.load(out / "weights.npz") as weights:
        shapes = [weights[f"weight_{i}"].shape for i in range(len(weights.files))]
    assert shapes == [(16, 32), (32,), (32, 10), (10,)]
    assert sorted(path.name for path in out.iterdir()) == [
        "learning_curves.png",
        "weights.npz",
    ]


def test_mnist_mlp_without_mnist(tmp_path, monkeypatch, capsys):
    """Neither cached nor given: scikit-learn's digits, and no network."""
    monkeypatch.setenv("FASTNN_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("FASTNN_DATASETS_URL", "http://127.0.0.1:9")
    module = load("mnist_mlp")
    monkeypatch.setattr(module, "SIDE_DATA", tmp_path / "nowhere")
    accuracy = module.main(["--output", str(tmp_path / "out"), "--hidden", "64"])
    assert accuracy > 0.93
    assert "digits of scikit-learn" in capsys.readouterr().out


def test_california_mlp(tmp_path):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(800, 3))
    y = x @ [1.0, -2.0, 0.5] + 3
    path = tmp_path / "houses.csv"
    table = np.column_stack([x, y])
    np.savetxt(path, table, delimiter=",", header="a,b,c,MedHouseVal", comments="")
    assert load("california_mlp").main(["--data", str(path)]) < 0.2 * y.var()


def test_custom_training_loop():
    assert load("custom_training_loop").main(["--steps", "300"]) > 0.9


def test_compile_step():
    eager, planned = load("compile_step").main(["--steps", "20"])
    assert planned == pytest.approx(eager, rel=1e-5)
    assert eager < 0.25  # the loss of the zero weights it starts from


@pytest.mark.feature("1C-22")
def test_digits_transfer(digits, capsys):
    tiny = ["--data", str(digits), "--epochs", "5", "--units", "20"]
    found = load("digits_transfer").main(tiny)
    kinds = ["frozen", "frozen, cached", "four frozen", "top two thawed"]
    assert list(found) == ["from scratch", *kinds]
    assert min(found.values()) > 0.5 and found["from scratch"] > 0.8
    assert re.search(r"trained in [\d.]+ s, [\d.]+ s cached", capsys.readouterr().out)


def test_mnist_deep(digits, tmp_path, capsys):
    out = tmp_path / "out"
    tiny = ["--data", str(digits), "--output", str(out), "--units", "40"]
    assert load("mnist_deep").main(tiny) > 0.9
    assert {path.name for path in out.iterdir()} == {"best.keras", "logs"}
    assert [p.name for p in sorted((out / "logs").iterdir())] == ["train", "validation"]
    assert re.search(r"ended after \d+ of 40 epochs", capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore:.*agg")
def test_digits_tuned(digits, tmp_path, capsys, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    module = load("digits_tuned")
    monkeypatch.setattr(module, "RATES", (1e-5, 3e-3))
    monkeypatch.setattr(module, "BATCHES", (16,))
    tiny = ["--data", str(digits), "--output", str(tmp_path), "--units", "20"]
    found = module.main([*tiny, "--epochs", "20"])
    assert list(found) == ["plain", "normalized", "dropout"]
    assert min(found.values()) > 0.7
    printed = capsys.readouterr().out
    assert "chosen: rate 0.003, batches of 16" in printed
    assert len(re.findall(r"reached (in epoch \d+|never)", printed)) == 3
    names = {f"{name}.keras" for name in found} | {"curves.png"}
    assert {path.name for path in tmp_path.iterdir()} >= names


def test_digit_pairs(digits):
    module = load("digit_pairs")
    tiny = ["--data", str(digits), "--steps", "400", "--few", "10"]
    found = module.main([*tiny, "--epochs", "40"])
    assert list(found) == ["pairs", "reused", "from scratch"]
    assert found["pairs"] > 0.85 and found["reused"] > 0.7
    y = np.arange(40) % 10
    (a, b), differ = next(module.pairs(y[:, None], y, seed=0))
    assert differ.mean() == 0.5 and len(a) == 64
    np.testing.assert_array_equal((a != b).ravel(), differ.ravel())


def test_mnist_cnn(digits):
    tiny = ["--data", str(digits), "--epochs", "25", "--filters", "8"]
    assert load("mnist_cnn").main([*tiny, "--batch", "16", "--shift", "0"]) > 0.9
    data = load("mnist_cnn").Shifted(np.eye(4)[None, ..., None], np.zeros(1), 1, 1)
    shifts = set()
    for _ in range(40):
        shifts.add(tuple(np.argwhere(data[0][0][0, ..., 0])[:, 1]))
        data.on_epoch_end()
    assert len(shifts) > 1


@pytest.mark.filterwarnings("ignore:.*agg", "ignore::FutureWarning:sklearn")
def test_digits_reduced(digits, tmp_path, capsys):
    pytest.importorskip("sklearn")
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    out = ["--output", str(tmp_path), "--points", "60"]
    found = load("digits_reduced").main(["--data", str(digits), *out])
    assert found["784 numbers"] > 0.9 and set(found) == {"784 numbers", "PCA"}
    assert re.search(r"95 % of the variance: \d+ of 16", capsys.readouterr().out)
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


def test_classic_neurons(tmp_path, capsys):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    scores = load("classic_neurons").main(["--output", str(tmp_path)])
    assert "xor      0 1 1 0" in capsys.readouterr().out
    assert scores["Perceptron"] == scores["MADALINE, XOR"] == 1
    assert scores["ADALINE, one wrong"] > 0.98  # one flower moves its line little
    assert (tmp_path / "boundaries.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.feature("1A-23")
@pytest.mark.filterwarnings("ignore:.*agg")
def test_playground(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    module = load("playground")
    found = module.main(["--output", str(tmp_path), "--starts", "3", "--epochs", "40"])
    assert found.keys() == module.NETWORKS.keys()
    assert max(found["2 relu: too few"]) < 0.95 < min(found["8 relu"])
    assert (tmp_path / "boundaries.png").read_bytes().startswith(b"\x89PNG")
    plt.close("all")


@pytest.mark.feature("1B-17", "1B-18", "1B-19")
@pytest.mark.filterwarnings("ignore:.*agg")
def test_california_tour(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    draw = np.random.default_rng(0)
    x = draw.normal(size=(800, 3))
    table = np.column_stack([x, x @ [1.0, -2.0, 0.5] + 3])
    path = tmp_path / "houses.csv"
    np.savetxt(path, table, delimiter=",", header="a,b,c,MedHouseVal", comments="")
    arguments = [
        "--data",
        str(path),
        "--output",
        str(tmp_path / "out"),
        "--epochs",
        "8",
    ]
    assert load("california_tour").main(arguments) < 0.3
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"model.svg", "curves.png", "rates.png", "logs"}
    plt.close("all")


def test_every_example_has_a_test():
    text = Path(__file__).read_text(encoding="utf-8")
    assert EXAMPLES
    assert [path.stem for path in EXAMPLES if f'load("{path.stem}")' not in text] == []
