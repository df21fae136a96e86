# SPDX-License-Identifier: Apache-2.0
"""What a GPU gives: checks first, then speed beside torch and JAX, in one command.

    python -m benchmarks.gpu [--seconds 400] [--only gemm train ...] [--out FOLDER]

Checks: every op against its reference, captured programs against single launches,
losses of 100 steps against the CPU's, memory given back. Then the bandwidth of a copy,
pointwise ops, a 8192^3 product in bfloat16, training of mlp32, reg32 and cnn32 beside
torch.compile with CUDA graphs and JAX's scan, a training step of ResNet-50. A part that
fails leaves its error in the results and the others run. Writes gpu-NAME.json to the
folder (`$OUT`, else benchmarks/results) after every part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn
from benchmarks.machine import machine_sheet
from fastnn import ops
from fastnn.backends.cuda import device as devices

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS = Path(__file__).with_name("results")
EPOCHS = 4  # of a timed call of training
ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Run:
    """What every part is given.

    Attributes:
        device: the device object; work on it is waited for by `synchronize`.
        until: when to begin nothing new (time.monotonic).
        small: sizes of an emulated device.
    """

    device: Any
    until: float
    small: bool = False
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
        x = np.zeros((256, 512), "float32")
        model = fastnn.Sequential([fastnn.Input((512,)), fastnn.layers.Dense(512)])
        model.compile("adam", "mse")
        model.fit(x, x, verbose=0)
    during = getattr(getattr(run.device, "_device", None), "mem_info", None)
    del model
    fastnn.utils.clear_session()
    after = getattr(getattr(run.device, "_device", None), "mem_info", None)
    return {"free, total before": info, "during": during, "after": after}


def bandwidth(run: Run) -> dict[str, Any]:
    """GB/s, bytes read and written: a copy, and pointwise ops on fresh memory."""
    count = 1 << (10 if run.small else 28)
    rng = np.random.default_rng(0)
    with fastnn.device("gpu:0"):
        x = fastnn.convert_to_tensor(rng.normal(size=count).astype("float32"))
        y = fastnn.convert_to_tensor(rng.normal(size=count).astype("float32"))
        source = x._remote.array.memory
        target = run.device.allocate(source.nbytes)
        copy = run.seconds(
            lambda: run.device.copy(target.address, source.address, source.nbytes)
        )
        cases = {
            "add": (lambda: x + y, 3),
            "gelu": (lambda: ops.gelu(x), 2),
            "tanh": (lambda: ops.tanh(x), 2),
            "chain of four": (lambda: ops.tanh(x * y + x) * y, 11),
            "sum": (lambda: ops.sum(x), 1),
        }
        rates = {
            name: arrays * 4 * count / run.seconds(call) / 1e9
            for name, (call, arrays) in cases.items()
        }
    copied = 8 * count / copy / 1e9
    shares = {name: rate / copied for name, rate in rates.items()}
    return {"copy GB/s": copied, "GB/s": rates, "of the copy": shares}


def gemm(run: Run) -> dict[str, Any]:
    """TFLOP/s of square products through `ops.matmul`, and of torch's cuBLAS."""
    n = 32 if run.small else 8192
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, n)).astype("float32") for _ in range(2))
    found: dict[str, Any] = {"n": n}
    with fastnn.device("gpu:0"):
        for dtype in ("bfloat16", "float32"):
            x, y = (ops.cast(fastnn.convert_to_tensor(m), dtype) for m in (a, b))
            seconds = run.seconds(lambda x=x, y=y: ops.matmul(x, y))
            found[f"fastnn {dtype}"] = 2 * n**3 / seconds / 1e12
    if run.small:
        return found
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    for dtype in ("bfloat16", "float32"):
        kind = getattr(torch, dtype)
        x, y = (torch.from_numpy(m).cuda().to(kind) for m in (a, b))
        out = torch.empty_like(x)

        def product(x: Any = x, y: Any = y, out: Any = out) -> None:
            torch.matmul(x, y, out=out)

        seconds = run.seconds(product, wait=torch.cuda.synchronize)
        found[f"cublas {dtype}"] = 2 * n**3 / seconds / 1e12
        ratio = found[f"fastnn {dtype}"] / found[f"cublas {dtype}"]
        found[f"ratio {dtype}"] = ratio
    return found


def train(run: Run) -> dict[str, Any]:
    """Microseconds per sample of whole epochs, each framework in turn.

    A timed call is EPOCHS of them: `fit` uploads the data once, the others have it on
    the device before.
    """
    from benchmarks.gpu_peers import PEERS
    from benchmarks.workloads import WORKLOADS, initial_weights, load

    found: dict[str, Any] = {}
    for name in ["reg32"] if run.small else ["mlp32", "reg32", "cnn32"]:
        workload = WORKLOADS[name]
        if run.small:
            workload = workload.shortened().shortened()
        x, y, source = load(workload)
        weights = initial_weights(workload)
        turns, losses = {}, {}
        row = found[name] = {"data": source, "us per sample": turns, "losses": losses}
        for peer_name in ["fastnn"] if run.small else PEERS:
            if run.left < 20:
                row["cut"] = "no time left"
                break
            try:
                peer = PEERS[peer_name]()
                peer.setup(workload, weights, x, y)
                losses[peer_name] = peer.run_epochs(1, shuffle=False)[0]
                peer.run_epochs(1, shuffle=True)
                times = []
                epochs = 1 if run.small else EPOCHS
                for _ in range(1 if run.small else 5):
                    start = time.perf_counter()
                    peer.run_epochs(epochs, shuffle=True)
                    seconds = time.perf_counter() - start
                    times.append(seconds / (epochs * workload.samples) * 1e6)
                turns[peer_name] = statistics.median(times)
            except Exception:
                losses[peer_name] = traceback.format_exc(limit=4)[-600:]
    return found


def resnet(run: Run) -> dict[str, Any]:
    """Milliseconds of a training step of ResNet-50, 224x224, batch 64, bfloat16."""
    from benchmarks.gpu_peers import resnet_fastnn, resnet_torch

    batch, size = (2, 32) if run.small else (64, 224)
    found: dict[str, Any] = {"batch": batch}
    parts = {"fastnn": resnet_fastnn, "torch.compile channels_last": resnet_torch}
    for name in ["fastnn"] if run.small else parts:
        try:
            step = parts[name](batch, size, tiny=run.small)
            found[name] = 1e3 * run.seconds(step, repeats=5)
        except Exception:
            found[name] = traceback.format_exc(limit=4)[-600:]
    return found


PARTS = {
    part.__name__: part
    for part in (parity, graphs, curves, memory, bandwidth, gemm, train, resnet)
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
            result: Any = PARTS[name](run)
        except Exception:
            result = {"error": traceback.format_exc()[-3000:]}
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
        "machine": machine_sheet(),
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
