# SPDX-License-Identifier: Apache-2.0
"""Children of one measuring session, and a turn with its probes around it."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness import Sample
from benchmarks.peers import PEERS
from benchmarks.processes import Absent, MachineClock, Process, WorkerError, settle

# What a turn's time is: the wall's, or the processor's, which on one thread of a busy
# machine is what the wall's would be on an idle one.
CLOCKS = {"wall": "seconds", "processor": "processor"}


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """`--threads` and `--clock`."""
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--clock", default="wall", choices=list(CLOCKS), help="processor: 1 thread only"
    )


def check_clock(parser: argparse.ArgumentParser, clock: str, threads: int) -> None:
    if clock == "processor" and threads > 1:
        parser.error("[clock] processor time of several threads is nobody's time")


class Session:
    """Starts the children together; those that cannot start are listed in `absent`."""

    def __init__(
        self,
        kind: str,
        names: list[str],
        threads: int,
        say: Callable[[str], None],
        clock: str = "wall",
    ) -> None:
        self.threads, self.say = threads, say
        self.seconds = CLOCKS[clock]
        self.absent: dict[str, str] = {}
        self.versions: dict[str, dict[str, str]] = {}
        self.clock = MachineClock()
        self.probe = Process("probe", "probe", threads)
        self.probe_kind = self.probe.ask("hello")["kind"]
        self.children: dict[str, Process] = {}
        for name in names:
            child = Process(kind, name, threads, _extra(kind, name))
            self.children[name] = child
            answer = self.attempt(name, "hello")
            if answer is not None:
                self.versions[name] = answer["versions"]

    @property
    def names(self) -> list[str]:
        return list(self.children)

    def attempt(self, name: str, do: str, **arguments: Any) -> dict[str, Any] | None:
        """Ask; a child that cannot is closed and its reason kept."""
        try:
            return self.children[name].ask(do, **arguments)
        except (Absent, WorkerError) as error:
            self.absent[name] = str(error)
            self.say(f"{name}: absent: {error}")
            self.children.pop(name).close()
            return None

    def peak(self) -> dict[str, float]:
        settle()
        return self.probe.ask("peak")

    def turn(
        self, name: str, round_: int, work: float, do: str, **arguments: Any
    ) -> Sample:
        """Probe, one request, probe: everything `harness.judge` wants to know."""
        before = self.peak()
        self.clock.lap()
        began = time.perf_counter()
        answer = self.children[name].ask(do, **arguments)
        available = (time.perf_counter() - began) * (os.cpu_count() or 1)
        busy, steal = self.clock.lap()
        after = self.peak()
        # The kernel counts in ticks of 10 ms: three of them are not yet a sign.
        foreign = max(busy - answer["cpu"] - 0.03, 0.0)
        return Sample(
            name,
            round_,
            answer[self.seconds],
            work,
            (before["fma_gflops"], after["fma_gflops"]),
            (before["copy_gbs"], after["copy_gbs"]),
            steal / available,
            foreign / available,
            answer["switches"],
            tuple(answer.get("losses", ())),
        )

    def close(self) -> None:
        for child in (*self.children.values(), self.probe):
            child.close()


def _extra(kind: str, name: str) -> dict[str, str]:
    if kind == "peer":
        return dict(PEERS[name].env)
    # NumPy's wheel holds AVX-512 kernels that OpenBLAS does not choose on every CPU.
    return {"OPENBLAS_CORETYPE": "SkylakeX"} if name == "numpy_skylakex" else {}
