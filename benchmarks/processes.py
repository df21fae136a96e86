# SPDX-License-Identifier: Apache-2.0
"""One process per framework, all with the same threads, idle on a pipe between turns.

Threads are limited twice: by each library's own variable, and by CPU affinity, which
fastnn and XLA read.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")

# Thread pools spin for a while after their last task (OpenBLAS about 30 ms): the next
# framework starts when they sleep.
SETTLE_SECONDS = 0.06


# A path or flag of the caller would change what is measured; without bytecode files
# every start would compile the sources again, and `import` would time the compiler.
_NOT_INHERITED = ("PYTHONPATH", "XLA_FLAGS", "PYTHONDONTWRITEBYTECODE")


def environment(threads: int, extra: dict[str, str] | None = None) -> dict[str, str]:
    """Environment of a child: the same thread count for every library, CPU only."""
    env = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "FASTNN_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "NPROC",  # the size of XLA's CPU thread pool
    ):
        env[name] = str(threads)
    env |= {
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=" + str(threads > 1).lower(),
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONHASHSEED": "0",
    }
    return env | (extra or {})


class WorkerError(RuntimeError):
    """The child answered with an error, or died."""


class Absent(RuntimeError):
    """The child cannot do the task equivalently, or its framework is not installed."""


class Process:
    """A worker and its pipe. `ask("train", epochs=3)` calls `Worker.train`."""

    def __init__(
        self, kind: str, name: str, threads: int, extra: dict[str, str] | None = None
    ) -> None:
        cpus = sorted(os.sched_getaffinity(0))[:threads]
        self.name = name
        self.child = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cpus)), sys.executable]
            + [str(WORKER), kind, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(threads, extra),
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            Absent: the workload has no equivalent there.
            WorkerError: anything else that went wrong in the child.
        """
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        try:
            print(
                json.dumps({"do": do, **arguments}), file=self.child.stdin, flush=True
            )
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerError(f"[{self.name}] exited with {self.child.wait()}.")
        answer = json.loads(line)
        if "absent" in answer:
            raise Absent(answer["absent"])
        if "failed" in answer:
            kind = Absent if "ModuleNotFoundError" in answer["failed"] else WorkerError
            raise kind(f"[{self.name}] {do}: {answer['failed']}")
        return answer

    def close(self) -> None:
        """End of input ends the child; it is killed if it does not listen."""
        assert self.child.stdin
        try:
            self.child.stdin.close()
            self.child.wait(timeout=10)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.child.kill()
            self.child.wait()


class MachineClock:
    """Differences of `/proc/stat` between two readings: what the machine did for
    others (`foreign`) and what the hypervisor took (`steal`), in CPU seconds."""

    def __init__(self) -> None:
        self.tick = os.sysconf("SC_CLK_TCK")
        self.last = self._read()

    def _read(self) -> tuple[float, float]:
        try:
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        except OSError:
            return 0.0, 0.0
        user, nice, system, _, _, irq, soft, steal = (int(f) for f in fields)
        busy = user + nice + system + irq + soft
        return busy / self.tick, steal / self.tick

    def lap(self) -> tuple[float, float]:
        """Busy and stolen CPU seconds since the last lap."""
        now = self._read()
        busy, steal = now[0] - self.last[0], now[1] - self.last[1]
        self.last = now
        return busy, steal


def settle() -> None:
    time.sleep(SETTLE_SECONDS)
