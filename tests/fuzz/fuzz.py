# SPDX-License-Identifier: Apache-2.0
"""Reads damaged files of every format, and looks for more than a ModelFileError.

    python tests/fuzz/fuzz.py [FORMAT ...] [--runs N] [--seconds S] [--seed K]
    python tests/fuzz/fuzz.py FORMAT --only N       one of them again
    python tests/fuzz/fuzz.py [FORMAT ...] --guided DIR [--seconds S]   with Atheris

A file is made from its number alone, so a finding is a number. Files are read in a
process of their own; a finding is another exception, a crash, more than 10 s, more
memory than twice the file and 64 MiB, another file opened, a socket, a process, or a
module imported. Findings are kept in out/fuzz; the last line is a summary in JSON.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import random
import resource
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType

sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS, Target

from fastnn import _lazy
from fastnn.errors import ModelFileError
from fastnn.serialization import suggest

SECONDS, MEMORY = 10.0, 64 << 20
FOUND = Path("out/fuzz")


class Board:
    """Numbers that a crash of the worker leaves behind."""

    NAMES = ("number", "loaded", "refused", "slowest_us", "slowest", "most_kb")

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8 * len(self.NAMES))

    def read(self) -> dict[str, int]:
        values = struct.unpack(f"{len(self.NAMES)}q", self.memory[:])
        return dict(zip(self.NAMES, values, strict=True))

    def write(self, **values: int) -> None:
        self.memory[:] = struct.pack(f"{len(self.NAMES)}q", *values.values())


# ---- one execution -----------------------------------------------------------------


class Watch:
    """Notes what a read does beside its own file."""

    EVENTS = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn")

    def __init__(self) -> None:
        self.path: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple) -> None:
        if self.path is None:
            return
        other = event == "open" and not isinstance(args[0], int)
        if other and os.fspath(args[0]) != self.path:
            self.seen.append(f"open {args[0]}")
        elif event == "import" or event.startswith(self.EVENTS):
            self.seen.append(f"{event} {args[:1]}")


def rss() -> int:
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def execute(target: Target, data: bytes, path: str, watch: Watch) -> tuple[str, str]:
    """(outcome, details) of reading a file; an outcome in capitals is a finding."""
    with open(path, "wb", buffering=0) as file:
        file.write(data)
    before, size = peak(), rss()
    watch.seen.clear()
    watch.path, began = path, time.perf_counter()
    try:
        target.read(path)
        outcome, details = "loaded", ""
    except ModelFileError as error:
        outcome, details = "refused", str(error)
    except Exception:
        outcome, details = "EXCEPTION", traceback.format_exc()
    finally:
        watch.path = None
    taken = time.perf_counter() - began
    grown = peak() - size if peak() > before else 0
    if watch.seen:
        outcome, details = "BESIDE", "\n".join([*watch.seen, details])
    elif taken > SECONDS:
        outcome, details = "SLOW", f"{taken:.1f} s\n{details}"
    elif grown > 2 * len(data) + MEMORY:
        outcome, details = "MEMORY", f"{grown >> 20} MiB\n{details}"
    return outcome, details


def warm(target: Target, path: str, watch: Watch) -> None:
    """Reads the sound files, after which all is imported that ever is."""
    _lazy.load_everywhere()
    suggest("Dens", ["Dense"])
    for data in target.seeds:
        for _ in range(2):
            outcome, details = execute(target, data, path, watch)
        assert outcome == "loaded", (target.ending, details)


def made(target: Target, seed: int, number: int) -> bytes:
    return target.make(random.Random(seed << 40 | number))


# ---- many of them ------------------------------------------------------------------


def work(name: str, seed: int, board: Board, until: int, deadline: float) -> None:
    """Executes from the board's number on, until a number or a time."""
    target, watch = TARGETS[name](), Watch()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = str(Path(folder, f"m{target.ending}"))
        warm(target, path, watch)
        counts = board.read()
        while counts["number"] < until and time.monotonic() < deadline:
            board.write(**counts)
            data, before = made(target, seed, counts["number"]), peak()
            began = time.perf_counter()
            outcome, details = execute(target, data, path, watch)
            taken = int(1e6 * (time.perf_counter() - began))
            if taken > counts["slowest_us"]:
                counts.update(slowest_us=taken, slowest=counts["number"])
            counts["most_kb"] = max(counts["most_kb"], (peak() - before) >> 10)
            if outcome.isupper():
                keep(name, seed, counts["number"], outcome, details, data)
            else:
                counts[outcome] += 1
            counts["number"] += 1
        board.write(**counts)


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def keep(
    name: str, seed: int, number: int, outcome: str, details: str, data: bytes
) -> None:
    """Writes down a finding."""
    FOUND.mkdir(parents=True, exist_ok=True)
    (FOUND / f"{name}-{seed}-{number}").write_bytes(data)
    with open(FOUND / f"{name}.txt", "a", encoding="utf-8") as file:
        file.write(f"{outcome} {name} --seed {seed} --only {number}\n{details}\n\n")
    print(f"{outcome} {name} --seed {seed} --only {number}", file=sys.stderr)


def fuzz(name: str, seed: int, runs: int, seconds: float) -> dict[str, object]:
    """Runs a worker, and another one after each that dies; the numbers of all."""
    board, deadline, found = Board(), time.monotonic() + seconds, 0
    began = time.monotonic()
    while True:
        pid = os.fork()
        if pid == 0:
            try:
                warnings.simplefilter("ignore")
                work(name, seed, board, runs, deadline)
            except BaseException:
                traceback.print_exc()
                os._exit(77)
            os._exit(0)
        status = _watched(pid, board)
        if status == 0:
            break
        if os.WIFEXITED(status):
            raise SystemExit(f"the fuzzer itself failed on {name}")
        counts = board.read()
        number = counts["number"]
        details = f"signal {os.WTERMSIG(status)}"
        keep(name, seed, number, "CRASH", details, made(TARGETS[name](), seed, number))
        found += 1
        board.write(**{**counts, "number": number + 1})
    counts = board.read()
    found = counts["number"] - counts["loaded"] - counts["refused"]
    taken = round(time.monotonic() - began, 1)
    return {"format": name, **counts, "findings": found, "seconds": taken}


def _watched(pid: int, board: Board) -> int:
    """The exit status; a worker that stays with one file is ended."""
    last, since = -1, time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        number = board.read()["number"]
        if number != last:
            last, since = number, time.monotonic()
        elif time.monotonic() - since > 6 * SECONDS:  # its own start takes a while
            os.kill(pid, 9)
        time.sleep(0.02)


def guided(name: str, folder: str, seconds: float) -> None:
    """Atheris changes the files, led by the Python code that they reach."""
    import atheris

    target, watch = TARGETS[name](), Watch()
    readers = ("fastnn.saving.", "fastnn.serialization")
    for module in [m for n, m in sys.modules.items() if n.startswith(readers)]:
        for key, value in vars(module).items():
            own = getattr(value, "__module__", "") == module.__name__
            if own and isinstance(value, FunctionType):
                setattr(module, key, atheris.instrument_func(value))
    seeds = Path(folder, name)
    seeds.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (seeds / f"seed-{number}").write_bytes(data)
    place = tempfile.mkdtemp(dir=_memory())
    path = str(Path(place, f"m{target.ending}"))

    warm(target, path, watch)

    def one(data: bytes) -> None:
        outcome, details = execute(target, data, path, watch)
        if outcome.isupper():
            raise AssertionError(f"{outcome}\n{details}")

    atheris.Setup(
        [
            *(sys.argv[0], f"-max_total_time={int(seconds)}", "-timeout=10"),
            *("-artifact_prefix=" + str(Path(folder, f"{name}-")), str(seeds)),
        ],
        one,
    )
    atheris.Fuzz()


def _apart(function: Callable[..., None], *arguments: object) -> int:
    """The exit status of a process that calls a function."""
    pid = os.fork()
    if pid == 0:
        function(*arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("formats", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--runs", type=int, default=1 << 60)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--guided", metavar="DIR")
    given = parser.parse_args()
    names = given.formats or list(TARGETS)
    if given.guided:
        return max(_apart(guided, name, given.guided, given.seconds) for name in names)
    if given.only is not None:
        target = TARGETS[names[0]]()
        data = made(target, given.seed, given.only)
        path = str(Path(tempfile.mkdtemp(), f"m{target.ending}"))
        print(path, *execute(target, data, path, Watch()), sep="\n")
        return 0
    summary = []
    for name in names:
        summary.append(fuzz(name, given.seed, given.runs, given.seconds))
        print(json.dumps(summary[-1]), file=sys.stderr, flush=True)
    print(json.dumps(summary))
    return int(any(one["findings"] for one in summary))


if __name__ == "__main__":
    sys.exit(main())
