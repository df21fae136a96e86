# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the GPU runs all its parts, here on the emulated device."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from cuda_emulated import EmulatedDevice
from cuda_fake_cupy import Machine

from fastnn import config
from fastnn.backends.cuda import cublaslt
from fastnn.backends.cuda import device as devices

sys.path.append(str(Path(__file__).resolve().parents[2]))
from benchmarks import gpu, gpu_speed


@pytest.fixture
def run(monkeypatch):
    device = EmulatedDevice()
    monkeypatch.setattr(devices, "device", lambda index: device)
    monkeypatch.setattr(devices, "opened", lambda: [device])
    monkeypatch.setattr(cublaslt, "table", {})
    # The policy that a part puts back was set: floatx() has no say any more.
    monkeypatch.setattr(config, "_dtype_policy", config._dtype_policy)
    made = gpu.Run(device, time.monotonic() + 6000, small=True, peers=False)
    made.patience = 100  # the emulated device is slow
    return made


def test_every_part_gives_a_result(run, tmp_path) -> None:
    path = tmp_path / "gpu.json"
    gpu.measure(run, list(gpu.PARTS), path, {"device": "emulated"})
    written = json.loads(path.read_text())
    found = written["results"]
    assert list(found) == list(gpu.PARTS)
    assert not [name for name, part in found.items() if "error" in part], found
    assert found["parity"]["samples"] > 10
    assert found["parity"]["wrong"] == 0
    assert found["graphs"]["different"] == []
    assert found["curves"]["dense"]["all"] < 1e-4
    assert found["train"]["reg32"]["us per sample"]["fastnn"] > 0
    assert found["resnet"]["ms"]["fastnn"] > 0
    assert found["bandwidth"]["of the copy"]["chain of four"] > 0
    assert len(found["epilogues"]) == 6
    assert max(times["apart"] for times in found["epilogues"].values()) < 0.04
    for part in (found["train"]["reg32"], found["resnet"]):
        assert part["failed"] == {}
    assert written["TF32"]["fastnn"] == "highest"


def test_the_command_writes_of_which_device_it_tells(tmp_path, monkeypatch) -> None:
    cupy = Machine().cupy
    runtime = cupy.cuda.runtime
    runtime.getDeviceProperties = lambda index: {"name": b"NVIDIA H200"}
    runtime.driverGetVersion = lambda: 13000
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(devices, "_devices", {})
    monkeypatch.setitem(gpu.PARTS, "gemm", lambda run: run.device.architecture)
    gpu.main(["--only", "gemm", "--out", str(tmp_path)])
    (path,) = tmp_path.iterdir()
    assert path.name == "gpu-h200.json"
    written = json.loads(path.read_text())
    assert written["device"] == "NVIDIA H200"
    assert written["machine"]["threads"] > 0
    assert written["results"] == {"gemm": "sm_90"}


def test_a_part_that_fails_leaves_its_error_and_the_others_run(
    run, tmp_path, monkeypatch
) -> None:
    def broken(run):
        raise RuntimeError("no such thing")

    monkeypatch.setitem(gpu.PARTS, "gemm", broken)
    path = tmp_path / "gpu.json"
    gpu.measure(run, ["gemm", "curves"], path, {})
    found = json.loads(path.read_text())["results"]
    assert "no such thing" in found["gemm"]["error"]
    assert "dense" in found["curves"]


def test_what_takes_too_long_is_broken_off_and_said(run, tmp_path, monkeypatch) -> None:
    def endless(run):
        while True:
            time.sleep(0.01)

    monkeypatch.setitem(gpu.PARTS, "parity", endless)
    monkeypatch.setitem(gpu.LIMITS, "parity", 0.3)
    run.patience = 1
    path = tmp_path / "gpu.json"
    gpu.measure(run, ["parity", "curves"], path, {})
    found = json.loads(path.read_text())["results"]
    assert "TooLong: longer than" in found["parity"]["error"]
    assert "dense" in found["curves"]


def test_frameworks_take_turns_and_one_that_fails_or_hangs_leaves_the_others(
    run, monkeypatch
) -> None:
    order = []

    def turn(name, seconds):
        def made():
            order.append(f"{name} ready")
            return lambda: order.append(name) or seconds

        return made

    def hangs():
        while True:
            time.sleep(0.01)

    run.small, run.patience = False, 1
    makers = {
        "a": turn("a", 2.0),
        "hangs": hangs,
        "breaks": lambda: 1 / 0,
        "b": turn("b", 3.0),
    }
    found = gpu_speed.in_turns(run, makers, 0.5)
    assert order == ["a ready", "b ready", *["a", "b"] * gpu_speed.ROUNDS]
    assert found["median"] == {"a": 2.0, "b": 3.0}
    assert "TooLong" in found["failed"]["hangs"]
    assert "ZeroDivisionError" in found["failed"]["breaks"]


def test_parts_without_time_left_say_so(run, tmp_path) -> None:
    run.until = time.monotonic()
    gpu.measure(run, ["gemm"], tmp_path / "gpu.json", {})
    assert run.found == {"gemm": "no time left"}


@pytest.mark.parity
def test_other_frameworks_run_their_parts_on_a_cpu_and_train_alike(
    run, tmp_path
) -> None:
    """The code that waits for a GPU, but for CUDA graphs; needs torch and JAX."""
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    run.peers, run.torch_device = True, "cpu"
    parts = ["gemm", "train", "resnet", "convolutions"]
    gpu.measure(run, parts, tmp_path / "gpu.json", {})
    found = run.found
    (layer,) = found["convolutions"].values()
    assert layer["failed"] == {}
    assert layer["median"]["cudnn"] > 0
    assert found["gemm"]["bfloat16"]["ratio"] > 0
    reg = found["train"]["reg32"]
    assert reg["failed"] == {}
    assert len(reg["us per sample"]) == 4
    losses = list(reg["losses of the first epoch"].values())
    assert max(losses) - min(losses) < 1e-4 * max(losses)
    resnet = found["resnet"]
    assert resnet["failed"] == {}
    assert len(resnet["ms"]) == 4
    for who, values in resnet["losses"].items():
        assert all(0 < loss < 50 for loss in values), who
