# SPDX-License-Identifier: Apache-2.0
"""What a GPU gives: checks first, then speed beside torch and JAX, in one command.

    python -m benchmarks.gpu [--seconds 400] [--only gemm train ...] [--out FOLDER]

Checks: every op against its reference, captured programs against single launches,
losses of 100 steps against the CPU's, memory given back. Then (gpu_speed.py) the
bandwidth of pointwise ops beside a copy's, a 8192^3 product in bfloat16, products with
their epilogue in one call and convolutions in every way (both kept for the backend to
choose by), training of mlp32, reg32 and cnn32 beside torch's compiled steps in CUDA
graphs and JAX's scan, a training step of ResNet-50. A part that fails leaves its error
in the results and the others run.
Writes gpu-NAME.json to the folder (`$OUT`, else benchmarks/results) after every part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn
from benchmarks.gpu_conv import convolutions
from benchmarks.gpu_speed import (
    bandwidth,
    epilogues,
    gemm,
    limited,
    problem,
    resnet,
    train,
)
from benchmarks.machine import machine_sheet
from fastnn.backends.cuda import device as devices

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).with_name("results")
# Seconds that a part may take; parts after it have what is left.
LIMITS = {
    "parity": 120,
    "graphs": 30,
    "curves": 40,
    "memory": 15,
    "bandwidth": 30,
    "epilogues": 30,
}
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Run:
    """What every part is given.

    Attributes:
        device: the device object; work on it is waited for by `synchronize`.
        until: when to begin nothing new (time.monotonic).
        small: sizes of an emulated device.
        peers: whether other frameworks are measured too.
        torch_device: where torch runs.
        patience: how much longer than on a GPU things may take.
    """

    device: Any
    until: float
    small: bool = False
    peers: bool = True
    torch_device: str = "cuda"
    patience: float = 1
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    def seconds(
        self,
        run: Callable[[], Any],
        repeats: int = 10,
        wait: Callable[[], None] | None = None,
    ) -> float:
        """Median of turns of about 50 ms, after warming up; each ends with one `wait`,
        the device's unless another framework has streams of its own.
        """
        wait = wait or self.device.synchronize
        run()
        wait()
        start = time.perf_counter()
        run()
        wait()
        once = max(time.perf_counter() - start, 1e-6)
        count = 1 if self.small else max(1, int(0.05 / once))
        times = []
        for _ in range(1 if self.small else repeats):
            start = time.perf_counter()
            for _ in range(count):
                run()
            wait()
            times.append((time.perf_counter() - start) / count)
        return statistics.median(times)


def parity(run: Run) -> dict[str, Any]:
    """Every op of the table, every sample of its record."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
    import cuda_parity
    import op_cases

    checked, wrong = 0, {}
    names = ["add", "sum"] if run.small else cuda_parity.COVERED
    start = time.perf_counter()
    if not run.small:
        run.device.prepare(cuda_parity.launches())
    compiled = time.perf_counter() - start
    for name in names:
        op = op_cases.OPS[name]
        for dtype in op_cases.DTYPES:
            for case in cuda_parity.cases(name, dtype, run.device):
                checked += 1
                try:
                    actual = case.run(run.device)
                    expected = op_cases.reference(
                        op, case.sample, widen=op_cases.widens(op)
                    )
                    for a, e in zip(actual, expected, strict=True):
                        op_cases.assert_close(a, e, op, case.message)
                except Exception as error:
                    wrong[case.message] = str(error).strip()[:300]
    return {
        "samples": checked,
        "wrong": len(wrong),
        "first wrong": dict(list(wrong.items())[:20]),
        "seconds to compile": compiled,
    }


def graphs(run: Run) -> dict[str, Any]:
    """The bits of a captured program are those of its launches one by one."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
    import cuda_parity

    different = []
    names = ["linear", "sum", "softmax_cross_entropy", "layer_norm", "conv", "take"]
    for name in names[: 2 if run.small else None]:
        for case in cuda_parity.cases(name, "float32", run.device):
            single = [a.tobytes() for a in case.run(run.device)]
            program = run.device.program(case.tasks)
            for steps in (1, 1, 1, 40):
                program(steps)
                for (memory, spec), bits in zip(case.outs, single, strict=True):
                    array = np.empty(spec.shape, spec.dtype)
                    run.device.download(memory, 0, array)
                    if array.tobytes() != bits and case.message not in different:
                        different.append(case.message)
    return {"different": different}


def curves(run: Run) -> dict[str, Any]:
    """Losses of the same training on the CPU and the device."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]
    import cuda_models

    apart = {}
    for name in ["dense"] if run.small else cuda_models.CASES:
        epochs = 2 if run.small else 34  # of three steps
        expected = cuda_models.train(name, epochs)[0]
        with fastnn.device("gpu:0"):
            found = cuda_models.train(name, epochs)[0]
        difference = np.abs(np.subtract(found, expected)) / np.abs(expected)
        apart[name] = {
            "first ten": float(difference[:10].max()),
            "all": float(difference.max()),
        }
    return apart


def memory(run: Run) -> dict[str, Any]:
    """Bytes that are free before and after a training and `clear_session`."""
    info = getattr(getattr(run.device, "_device", None), "mem_info", None)
    with fastnn.device("gpu:0"):
        units = 8 if run.small else 512
        x = np.zeros((256, units), "float32")
        model = fastnn.Sequential([fastnn.Input((units,)), fastnn.layers.Dense(units)])
        model.compile("adam", "mse")
        model.fit(x, x, verbose=0)
    during = getattr(getattr(run.device, "_device", None), "mem_info", None)
    del model
    fastnn.utils.clear_session()
    after = getattr(getattr(run.device, "_device", None), "mem_info", None)
    return {"free, total before": info, "during": during, "after": after}


PARTS = {
    part.__name__: part
    for part in (
        parity,
        graphs,
        curves,
        memory,
        bandwidth,
        gemm,
        epilogues,
        convolutions,  # before what takes the ways that it finds
        train,
        resnet,
    )
}


def settings() -> dict[str, Any]:
    """What products of float32 are allowed to be, framework by framework."""
    found: dict[str, Any] = {"fastnn": fastnn.config.float32_matmul_precision()}
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found["torch matmul TF32"] = torch.backends.cuda.matmul.allow_tf32
        found["torch cudnn TF32"] = torch.backends.cudnn.allow_tf32
    if "jax" in sys.modules:
        found["jax"] = str(sys.modules["jax"].config.jax_default_matmul_precision)
    found["NVIDIA_TF32_OVERRIDE"] = os.environ.get("NVIDIA_TF32_OVERRIDE")
    return found


def measure(run: Run, parts: list[str], path: Path, sheet: dict[str, Any]) -> None:
    """Runs the parts in order; the file is written after each."""
    for name in parts:
        if run.left < 10:
            run.found[name] = "no time left"
            continue
        start = time.monotonic()
        try:
            with limited(min(run.patience * LIMITS.get(name, 1e9), run.left)):
                result: Any = PARTS[name](run)
        except Exception:
            result = {"error": problem()}
        run.found[name] = result
        print(f"{name}: {time.monotonic() - start:.1f} s", json.dumps(result))
        whole = {"kind": "gpu", **sheet, "TF32": settings(), "results": run.found}
        path.write_text(json.dumps(whole, indent=1, default=str) + "\n")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=400)
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=list(PARTS))
    folder = Path(os.environ.get("OUT", RESULTS))
    parser.add_argument("--out", type=Path, default=folder)
    options = parser.parse_args(argv)
    device = devices.device(0)
    cupy = devices.import_cupy()
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    sheet = {
        "machine": machine_sheet(os.cpu_count() or 1),
        "device": name,
        "driver": cupy.cuda.runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "nvrtc": cupy.cuda.nvrtc.getVersion(),
    }
    print(json.dumps(sheet))
    run = Run(device, time.monotonic() + options.seconds)
    file = f"gpu-{name.replace('NVIDIA ', '').replace(' ', '-').lower()}.json"
    measure(run, options.only, options.out / file, sheet)


if __name__ == "__main__":
    main()
