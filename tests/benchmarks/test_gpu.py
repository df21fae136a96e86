# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the GPU runs all its parts, here on the emulated device."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from cuda_emulated import EmulatedDevice

from fastnn import config
from fastnn.backends.cuda import device as devices

sys.path.append(str(Path(__file__).resolve().parents[2]))
from benchmarks import gpu


@pytest.fixture
def run(monkeypatch):
    device = EmulatedDevice()
    monkeypatch.setattr(devices, "device", lambda index: device)
    monkeypatch.setattr(devices, "opened", lambda: [device])
    # The policy that a part puts back was set: floatx() has no say any more.
    monkeypatch.setattr(config, "_dtype_policy", config._dtype_policy)
    return gpu.Run(device, time.monotonic() + 600, small=True)


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
    assert found["resnet"]["fastnn"] > 0
    assert written["TF32"]["fastnn"] == "highest"


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


def test_parts_without_time_left_say_so(run, tmp_path) -> None:
    run.until = time.monotonic()
    gpu.measure(run, ["gemm"], tmp_path / "gpu.json", {})
    assert run.found == {"gemm": "no time left"}
