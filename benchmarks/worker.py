# SPDX-License-Identifier: Apache-2.0
"""The child process: one framework, idle on a pipe until the driver asks.

Started as a script by `benchmarks/processes.py`: `worker.py <kind> <name>`. A request
is one JSON line on stdin, `{"do": name, ...}`; the answer is one JSON line on the pipe
that was stdout at the start (stdout itself is sent to stderr, for frameworks print).
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import resource
import sys
import time
import traceback
from typing import Any

# The repository comes last: its `fastnn/` has no compiled modules, and must not hide
# the installed package.
sys.path.pop(0)
sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import numpy as np

from benchmarks.memory import Peak
from benchmarks.peers import PEERS
from benchmarks.workloads import NotEquivalent


class _Timer:
    """Wall time, processor time of the process and involuntary switches from `start`
    to `stop`; CPU seconds also from the beginning (`cpu`), for the driver must know
    what of the machine's load was ours."""

    def __init__(self) -> None:
        self.cpu = self._usage()[0]

    def _usage(self) -> tuple[float, int]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime, usage.ru_nivcsw

    def start(self) -> None:
        self.before, self.switches = self._usage()
        self.began = time.perf_counter()

    def stop(self) -> dict[str, float]:
        seconds = time.perf_counter() - self.began
        cpu, switches = self._usage()
        return {
            "seconds": seconds,
            "processor": cpu - self.before,
            "cpu": cpu - self.cpu,
            "switches": switches - self.switches,
        }


class Worker:
    def __init__(self, name: str) -> None:
        self.name = name
        self.peer: Any = None

    def hello(self) -> dict[str, Any]:
        """Import the framework; its versions."""
        info = PEERS[self.name]
        module = importlib.import_module(f"benchmarks.peers.{info.module}")
        self.peer = module.make(info.variant)
        return {"versions": self.peer.versions(), "numpy": np.__version__}

    def setup(self, workload: str, folder: str) -> dict[str, Any]:
        """Build, then train one batch: the time to the first trained step, compiling
        included, data already in memory. One epoch more: the peak of memory over what
        was there before, which holds the framework and the data."""
        stored = np.load(os.path.join(folder, f"{workload}.npz"))
        weights = [stored[f"w{i}"] for i in range(len(stored.files) - 2)]
        with open(os.path.join(folder, f"{workload}.pickle"), "rb") as file:
            self.task = pickle.load(file)
        self.data = weights, stored["x"], stored["y"]
        del stored
        trains = PEERS[self.name].trains
        memory, timer = Peak(), _Timer()
        timer.start()
        self.peer.setup(self.task, *self.data)
        if trains:
            self.peer.step_losses(1)
        answer: dict[str, Any] = {"first_step": timer.stop()}
        if trains:
            self.peer.run_epochs(1, True)
            answer["memory"] = memory.above()
        return answer

    def losses(self, steps: int) -> dict[str, Any]:
        """Of the first steps, in order, from the initial weights."""
        self.peer.reset()
        return {"steps": self.peer.step_losses(steps)}

    def check(self, steps: int) -> dict[str, Any]:
        """Losses in order: of the first steps, of one epoch, of one shuffled epoch, and
        with masks of the first step alone where they had to be switched off."""
        silent, answer = self.task.without_dropout(), dict[str, Any]()
        if silent != self.task:
            self.peer.reset()
            answer["masked"] = self.peer.step_losses(1)
            self.peer.setup(silent, *self.data)
        answer |= self.losses(steps)
        self.peer.reset()
        answer["epoch"] = self.peer.run_epochs(1, False)[-1]
        self.peer.reset()
        answer["shuffled"] = self.peer.run_epochs(1, True)[-1]
        if silent != self.task:
            self.peer.setup(self.task, *self.data)
        return answer

    def reset(self) -> dict[str, Any]:
        self.peer.reset()
        return {}

    def tune(self) -> dict[str, Any]:
        return {"chosen": self.peer.tune()}

    def train(self, epochs: int) -> dict[str, Any]:
        """One timed run from the initial weights, shuffled."""
        timer = _Timer()
        self.peer.reset()
        timer.start()
        losses = self.peer.run_epochs(epochs, True)
        return {"losses": [losses[0], losses[-1]], **timer.stop()}

    def predict(self, rows: int, calls: int) -> dict[str, Any]:
        """`calls` calls one after another on `rows` rows of the workload's input."""
        x = self.data[1][:rows]
        timer = _Timer()
        timer.start()
        for _ in range(calls):
            out = self.peer.predict(x)
        answer = timer.stop()
        return {"first": np.asarray(out, np.float64).ravel()[:10].tolist(), **answer}


class GemmWorker:
    """Matrix products of one library; see `benchmarks/peers/gemm_.py`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hello(self) -> dict[str, Any]:
        from benchmarks.peers import gemm_

        self.library = gemm_.LIBRARIES[self.name]()
        return {"versions": self.library.versions(), "numpy": np.__version__}

    def prepare(self, form: str, m: int, k: int, n: int) -> dict[str, Any]:
        """Operands of one product, and the worst error against float64."""
        from benchmarks.peers.gemm_ import operands

        a, b, expected = operands(form, m, k, n)
        self.call = self.library.bind(a, b)
        got = np.asarray(self.call(), np.float64)
        worst = np.abs(got - expected).max() / np.abs(expected).max()
        return {"worst": float(worst)}

    def run(self, calls: int) -> dict[str, Any]:
        call, timer = self.call, _Timer()
        timer.start()
        for _ in range(calls):
            call()
        return timer.stop()


class KernelWorker:
    """Single kernels of one library; see `benchmarks/peers/kernels_.py`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def hello(self) -> dict[str, Any]:
        from benchmarks.peers import kernels_

        self.library = kernels_.LIBRARIES[self.name]()
        return {"versions": self.library.versions(), "numpy": np.__version__}

    def prepare(self, task: int) -> dict[str, Any]:
        """Bind task number `task`; what its result must agree in with the others."""
        from benchmarks.kernel_tasks import TASKS, digest

        self.call, as_array = self.library.bind(TASKS[task])
        return {"digest": digest(as_array(self.call()))}

    run = GemmWorker.run


class EagerWorker(KernelWorker):
    """Code with tensors in one library; see `benchmarks/peers/eager_.py`."""

    def hello(self) -> dict[str, Any]:
        from benchmarks.peers import eager_

        self.library = eager_.LIBRARIES[self.name]()
        return {"versions": self.library.versions(), "numpy": np.__version__}

    def prepare(self, task: str) -> dict[str, Any]:
        """Bind a task; what the result of its first call must agree in."""
        from benchmarks.kernel_tasks import digest
        from benchmarks.peers.eager_ import BY_NAME

        self.call = self.library.bind(BY_NAME[task])
        return {"digest": digest(np.asarray(self.call()))}


class Probe:
    """What the machine gives right now: FMA rate and copy bandwidth."""

    def __init__(self, name: str) -> None:
        self.threads = int(os.environ["OMP_NUM_THREADS"])

    def hello(self) -> dict[str, Any]:
        try:
            from fastnn import _core

            self.fma = lambda: _core.fma_peak_gflops(self.threads)
            self.copy = lambda: _core.copy_bandwidth_gbs(self.threads)
            self.fma(), self.copy()
            kind = "fastnn._core"
        except (ImportError, AttributeError):
            # Without fastnn the probe still sees a machine that slows down, but the
            # rate is a matrix product's, not the peak.
            kind = "numpy"
            a = np.ones((320, 320), np.float32)
            out = np.empty_like(a)
            source = np.ones(1 << 22, np.float32)
            target = np.empty_like(source)
            self.fma = lambda: _rate(lambda: np.matmul(a, a, out=out), 2 * 320**3, 20)
            self.copy = lambda: _rate(
                lambda: np.copyto(target, source), 2 * source.nbytes, 2
            )
        return {"kind": kind, "versions": {}, "numpy": np.__version__}

    def peak(self) -> dict[str, Any]:
        """Best of three, so that one interrupt is not taken for a slow machine."""
        return {
            "fma_gflops": max(self.fma() for _ in range(3)),
            "copy_gbs": max(self.copy() for _ in range(3)),
        }


def _rate(call: Any, work: int, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return calls * work / (time.perf_counter() - start) / 1e9


_KINDS = {
    "peer": Worker,
    "gemm": GemmWorker,
    "kernels": KernelWorker,
    "eager": EagerWorker,
    "probe": Probe,
}


def main() -> None:
    kind, name = sys.argv[1:3]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = _KINDS[kind](name)
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(worker, request.pop("do"))
        try:
            answer = method(**request)
        except NotEquivalent as error:
            answer = {"absent": str(error)}
        except Exception as error:  # the driver shows it as a row, and goes on
            traceback.print_exc()
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
