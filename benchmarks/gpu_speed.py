# SPDX-License-Identifier: Apache-2.0
"""The parts of `benchmarks.gpu` that measure, each beside who is best at it.

Frameworks take turns, round after round; what is told is the median of the rounds. Each
of them has a time limit, and what fails leaves its error in the results.
"""

from __future__ import annotations

import math
import signal
import statistics
import threading
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn
from fastnn import ops
from fastnn.backends.cuda import cublaslt, rules
from fastnn.backends.cuda.launches import dense
from fastnn.errors import BackendError
from fastnn.opset import get_op
from fastnn.opset._dtypes import know

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.gpu import Run

    Turn = Callable[[], float]  # seconds of one unit of work

ROUNDS = 5
EPOCHS = 2, 6  # the time between them is that of epochs without an upload


class TooLong(Exception):
    """A task has used up its time."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raises TooLong in the middle of what takes longer, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise TooLong(f"longer than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    outer = signal.getitimer(signal.ITIMER_REAL)[0]
    start = time.monotonic()
    inner = max(seconds, 0.1)
    signal.setitimer(signal.ITIMER_REAL, min(inner, outer) if outer else inner)
    try:
        yield
    finally:
        left = outer - (time.monotonic() - start) if outer else 0
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, max(left, 0.1) if outer else 0)


def problem() -> str:
    """The error that is being handled, for the results."""
    return traceback.format_exc(limit=-4)[-600:]


def in_turns(
    run: Run, makers: dict[str, Callable[[], Turn]], seconds: float
) -> dict[str, Any]:
    """Medians of the turns of each, and what went wrong.

    Args:
        makers: by name, what prepares a task and warms it up.
        seconds: that each may take to prepare, and all rounds together.
    """
    seconds *= run.patience
    turns: dict[str, Turn] = {}
    found: dict[str, Any] = {"failed": {}}
    for name, make in makers.items():
        if run.left < 15:
            found["failed"][name] = "no time left"
            continue
        start = time.perf_counter()
        try:
            with limited(min(seconds, run.left - 5)):
                turns[name] = make()
        except Exception:
            found["failed"][name] = problem()
        found.setdefault("seconds to prepare", {})[name] = time.perf_counter() - start
    times: dict[str, list[float]] = {name: [] for name in turns}
    end = time.monotonic() + min(seconds, run.left - 5)
    for _ in range(1 if run.small else ROUNDS):
        for name in list(turns):
            if time.monotonic() > end and times[name]:
                continue
            try:
                with limited(max(end - time.monotonic(), 5)):
                    times[name].append(turns[name]())
            except Exception:
                found["failed"][name] = problem()
                del turns[name]
    found["rounds"] = times
    found["median"] = {n: statistics.median(t) for n, t in times.items() if t}
    return found


def bandwidth(run: Run) -> dict[str, Any]:
    """GB/s, bytes read and written: a copy, and pointwise ops. Chains are steps of
    functions on variables, so that they are plans; ops one by one allocate.
    """
    count = 1 << (10 if run.small else 28)
    rng = np.random.default_rng(0)
    with fastnn.device("gpu:0"):
        values = [rng.normal(size=count).astype("float32") for _ in range(2)]
        x, y = (fastnn.convert_to_tensor(v) for v in values)
        source = x._remote.array.memory
        target = run.device.allocate(source.nbytes)
        copy = run.seconds(
            lambda: run.device.copy(target.address, source.address, source.nbytes)
        )
        v, w, z = (fastnn.Variable(a) for a in (*values, values[0]))

        @fastnn.function
        def chain() -> None:
            z.assign(ops.tanh(v * w + v) * w)

        @fastnn.function
        def choice() -> None:
            z.assign(ops.where(v > 0, w * 0.5, ops.exp(v) * w))

        cases = {
            "add": (lambda: x + y, 3),
            "gelu": (lambda: ops.gelu(x), 2),
            "sum": (lambda: ops.sum(x), 1),
            "chain of four": (chain, 3),
            "chain with a choice": (choice, 3),
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
    arrays = [rng.normal(size=(n, n)).astype("float32") for _ in range(2)]
    found: dict[str, Any] = {"n": n}

    def of_fastnn(dtype: str) -> Turn:
        with fastnn.device("gpu:0"):
            x, y = (ops.cast(fastnn.convert_to_tensor(m), dtype) for m in arrays)

        def turn() -> float:
            with fastnn.device("gpu:0"):
                return run.seconds(lambda: ops.matmul(x, y), repeats=3)

        return turn

    def of_torch(dtype: str) -> Turn:
        import torch

        from benchmarks.gpu_peers import exact_float32

        exact_float32()
        place = run.torch_device
        x, y = (torch.from_numpy(m).to(place, getattr(torch, dtype)) for m in arrays)
        out = torch.empty_like(x)
        wait = torch.cuda.synchronize if place == "cuda" else None
        return lambda: run.seconds(lambda: torch.matmul(x, y, out=out), 3, wait)

    for dtype in ("bfloat16", "float32"):
        makers = {
            "fastnn": lambda dtype=dtype: of_fastnn(dtype),
            "cublas": lambda dtype=dtype: of_torch(dtype),
        }
        result = in_turns(run, makers, 40)
        rates = {k: 2 * n**3 / s / 1e12 for k, s in result["median"].items()}
        found[dtype] = {"TFLOP/s": rates, "failed": result["failed"]}
        if len(rates) == 2:
            found[dtype]["ratio"] = rates["fastnn"] / rates["cublas"]
    return found


def epilogues(run: Run) -> dict[str, Any]:
    """Products with bias and activation: one call of cuBLASLt, or cuBLAS and a kernel.

    What is faster, and gives the numbers of the kernel, is kept for later processes of
    this machine.
    """
    sizes = [(32, 300, 784), (128, 300, 784), (512, 512, 512), (4096, 4096, 4096)]
    times: dict[str, Any] = {}
    shapes = [
        cublaslt.Shape(dtype, *size, then)
        for dtype in ALIKE
        for size in ([(4, 3, 5)] if run.small else sizes)
        for then in cublaslt.EPILOGUES
    ]
    for shape in shapes:
        seconds, numbers = {}, {}
        for fused in (False, True):
            cublaslt.table[shape] = fused
            try:
                layer, result = _layer(run, shape)
                seconds[fused] = run.seconds(lambda layer=layer: layer(16), 5) / 16
            except BackendError as error:
                seconds[fused] = float("inf")
                times[f"{shape} refused"] = str(error)
                continue
            numbers[fused] = result().astype("float64")
        apart = _apart(numbers)
        faster = seconds[True] < 0.98 * seconds[False]
        cublaslt.table[shape] = faster and apart < ALIKE[shape.dtype]
        times[" ".join(map(str, shape))] = {
            "cuBLAS and a kernel, us": 1e6 * seconds[False],
            "cuBLASLt, us": 1e6 * seconds[True],
            "apart": apart,
        }
    if not run.small:
        cublaslt.write_table(run.device.architecture)
    return times


# Sums of about 1 in another order; the two GELUs are up to 5e-4 apart.
ALIKE = {"float32": 1e-4, "bfloat16": 4e-2}


def _apart(numbers: dict[bool, np.ndarray]) -> float:
    """The largest difference; infinite if one way gave none."""
    if len(numbers) < 2:
        return math.inf
    return float(np.abs(numbers[True] - numbers[False]).max())


def _layer(
    run: Run, shape: cublaslt.Shape
) -> tuple[Callable[[int], None], Callable[[], np.ndarray]]:
    """A program of one layer, and what it gives."""
    dtype, rows, columns, depth, then = shape
    kept, rng = [], np.random.default_rng(0)
    kind = np.dtype(know(dtype))

    def take(nbytes: int) -> int:
        kept.append(run.device.allocate(nbytes))
        return kept[-1].address

    def operand(*sizes: int, scale: float = 1.0) -> Any:
        values = (scale * rng.standard_normal(sizes, "float32")).astype(kind)
        address = take(values.nbytes)
        run.device.upload(kept[-1], 0, values)
        return dense(address, dtype, sizes)

    x, w = operand(rows, depth), operand(depth, columns, scale=depth**-0.5)
    bias, y = operand(columns), operand(rows, columns)
    memory = kept[-1]
    call = rules.Call(get_op("linear"), (x, w, bias), (y,), (then, 1.0), take, take0)
    program = run.device.program(rules.tasks(call))

    def layer(steps: int, _kept: Any = kept) -> None:
        program(steps)

    def result() -> np.ndarray:
        found = np.empty((rows, columns), kind)
        run.device.download(memory, 0, found)
        return found

    return layer, result


def take0() -> int:
    """Products check no indices."""
    raise AssertionError


def steady(epochs: Callable[[int], Any], count: tuple[int, int] = EPOCHS) -> float:
    """Seconds of an epoch, without what a call of several has to do once."""
    times = []
    for n in count:
        start = time.perf_counter()
        epochs(n)
        times.append(time.perf_counter() - start)
    return (times[1] - times[0]) / (count[1] - count[0])


def train(run: Run) -> dict[str, Any]:
    """Microseconds per sample of epochs in the middle of a training."""
    from benchmarks.gpu_peers import peers
    from benchmarks.workloads import WORKLOADS, initial_weights, load

    found: dict[str, Any] = {}
    names = ["reg32"] if run.small else ["mlp32", "reg32", "cnn32"]
    for at, name in enumerate(names):
        workload = WORKLOADS[name]
        if run.small:
            workload = workload.shortened().shortened()
        x, y, source = load(workload)
        weights = initial_weights(workload)
        losses: dict[str, float] = {}
        uploads: dict[str, float] = {}

        def prepare(who: str, make: Callable[[], Any]) -> Turn:
            peer = make()
            peer.setup(workload, weights, x, y)  # noqa: B023  (called at once)
            losses[who] = peer.run_epochs(1, shuffle=False)[0]  # noqa: B023
            start = time.perf_counter()
            peer.run_epochs(1, shuffle=True)
            uploads[who] = time.perf_counter() - start  # noqa: B023
            return lambda: steady(lambda n: peer.run_epochs(n, shuffle=True))

        makers = {
            who: lambda who=who, make=make: prepare(who, make)
            for who, make in peers(run).items()
        }
        share = (run.left - 20) / (len(names) - at)
        result = in_turns(run, makers, min(share / (len(makers) + 1), 60))
        scale = 1e6 / workload.samples
        found[name] = {
            "data": source,
            "us per sample": {k: scale * s for k, s in result["median"].items()},
            "the first epoch of a call": {k: scale * s for k, s in uploads.items()},
            "losses of the first epoch": losses,
            **{k: result[k] for k in ("failed", "seconds to prepare", "rounds")},
        }
    return found


def resnet(run: Run) -> dict[str, Any]:
    """Milliseconds of a training step of ResNet-50, 224x224, batch 64, bfloat16."""
    from benchmarks import gpu_resnet as net

    shape = net.FULL
    if run.small:
        shape = net.TINY if run.peers else net.TINIEST
    counts = (1, 2) if run.small else (1, 4)
    losses: dict[str, list[float]] = {}

    def of_fastnn() -> Turn:
        own = net.Fastnn(shape)
        losses["fastnn"] = own.epochs(1)
        return lambda: steady(own.epochs, counts) / shape.steps

    def of_step(who: str, step: Callable[[], Any]) -> Turn:
        losses[who] = [float(step()) for _ in range(3)]

        def many(count: int) -> None:
            for _ in range(count * shape.steps):
                loss = step()
            float(loss)

        return lambda: steady(many, counts) / shape.steps

    def of_torch(mode: str) -> Turn:
        step = net.torch_step(shape, run.torch_device, mode)
        return of_step(f"torch {mode}", step)

    makers: dict[str, Callable[[], Turn]] = {"fastnn": of_fastnn}
    if run.peers:
        makers["torch default"] = lambda: of_torch("default")
        makers["JAX"] = lambda: of_step("JAX", net.jax_step(shape))
        makers["torch max-autotune"] = lambda: of_torch("max-autotune")
    result = in_turns(run, makers, 60)
    result["batch"], result["losses"] = shape.batch, losses
    result["ms"] = {k: 1e3 * s for k, s in result.pop("median").items()}
    return result
