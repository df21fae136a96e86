# SPDX-License-Identifier: Apache-2.0
"""`python -m fastnn.selftest` says what is right, what is wrong, and how fast."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from fastnn import _core
from fastnn.opset import all_ops, get_op
from fastnn.opset._opdef import KERNELLESS
from fastnn.selftest import __main__ as command
from fastnn.selftest import check, speed


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastnn.selftest", *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_instruction_set_is_checked_and_agrees():
    done = run("--ops", "add,matmul,softmax,reshape", "--json")
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert [c["isa"] for c in checks] == _core.available_isas()
    for report in checks:
        families = report["families"]
        assert set(families) == {"arithmetic", "gemm", "softmax", "view"}
        assert all(f["ops"] == 1 and f["cases"] > 3 for f in families.values())


def test_a_family_has_a_line():
    done = run("--ops", "exp,log", "--isa", _core.isa())
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    family = next(line.split() for line in lines if "elementary" in line)
    assert family[1:3] == ["2", "ops"] and family[-1] == "ok"
    assert lines[-1] == "all kernels agree"


@pytest.fixture
def wrong_exp(monkeypatch):
    """A reference that disagrees with `exp` in one element of large arrays."""
    right = check.reference

    def reference(op, sample, **options):
        outputs = right(op, sample, **options)
        if op.name == "exp" and outputs[0].size > 10:
            outputs[0].flat[3] *= 1.001
        return outputs

    monkeypatch.setattr(check, "reference", reference)


def test_a_wrong_kernel_is_told_in_detail(wrong_exp, capsys):
    status = command.main(["--ops", "exp,log", "--isa", _core.isa()])
    shown = capsys.readouterr().out
    assert status == 1
    assert "FAILED" in shown and "exp(float32[" in shown
    assert "Mismatched elements: 1 /" in shown
    assert "log(" not in shown
    assert shown.rstrip().endswith("failures")


def test_threads_that_change_bits_are_a_failure(monkeypatch):
    launch = _core.launch

    def broken(name, inputs, outputs, attrs, **options):
        launch(name, inputs, outputs, attrs, **options)
        outputs[0].reshape(-1)[:1] += 1

    monkeypatch.setattr(_core, "launch", broken)
    failures = check.check_op(get_op("add"))[1]
    assert failures and "threads differ" in failures[0]


def test_a_crash_of_another_process_is_a_failure(monkeypatch):
    @dataclasses.dataclass
    class Dead:
        returncode = -4
        stdout = ""
        stderr = "Illegal instruction"

    monkeypatch.setattr(subprocess, "run", lambda *a, **k: Dead())
    report = command.elsewhere("avx2", command.arguments([]))
    assert command.failures_in([report]) == 1
    assert "status -4: Illegal" in report["families"]["(process)"]["failures"][0]


def test_an_unknown_op_is_refused():
    done = run("--ops", "ad")
    assert done.returncode == 1 and "[selftest] no op is called ad." in done.stderr


@pytest.mark.parametrize(
    "name", [n for n, op in all_ops().items() if op.kind not in KERNELLESS]
)
def test_each_kernel_has_a_sample_to_time(name, monkeypatch):
    for size in ("STREAM", "STRUCTURED"):
        monkeypatch.setattr(speed, size, 1 << 16)
    sample = speed.large_sample(get_op(name))
    if sample is not None:  # else: it has none in float32
        ins, outs = speed._specs(get_op(name), sample)
        assert all(np.prod(s.shape) > 0 for s in outs)
        assert sum(a.nbytes for a in sample.inputs) < 1 << 30
        assert speed._cost(get_op(name), ins, outs, sample.attrs) < 10e9


def test_speed_counts_operations_and_bytes(monkeypatch):
    for size in ("STREAM", "STRUCTURED"):
        monkeypatch.setattr(speed, size, 1 << 18)
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    result = speed.measure(["matmul", "add", "reshape"])
    rows = {row["op"]: row for row in result["rows"]}
    assert set(rows) == {"matmul", "add"}
    (m, k), (_, n) = rows["matmul"]["shape"]
    assert rows["matmul"]["gflops"] == pytest.approx(
        2 * m * k * n / rows["matmul"]["ns"]
    )
    size = rows["add"]["shape"][0][0]
    assert rows["add"]["gbs"] == pytest.approx(12 * size / rows["add"]["ns"])
    assert rows["add"]["of_peak"] == pytest.approx(
        rows["add"]["gbs"] / result["copy_gbs"]
    )
    assert result["fma_gflops"] > 1
