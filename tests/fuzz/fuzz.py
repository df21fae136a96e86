# SPDX-License-Identifier: Apache-2.0
"""Reads damaged files of every format, and looks for more than a ModelFileError.

    python tests/fuzz/fuzz.py [FORMAT ...] [--runs N] [--seconds S] [--seed K]
    python tests/fuzz/fuzz.py FORMAT --only N       one of them again
    python tests/fuzz/fuzz.py [FORMAT ...] --guided DIR [--seconds S]   with Atheris
    python tests/fuzz/fuzz.py --table               all that was done so far

A file is made from its number alone, so a finding is a number. Files are read in a
process of their own; a finding is another exception, a crash, more than 10 s, more
memory than twice the file and 64 MiB, another file opened, a socket, a process, or a
module imported. Findings are kept in out/fuzz, and how far each format came: with
`--resume` a run goes on from there. The last line is a summary in JSON.
"""

from __future__ import annotations

import argparse
import gc
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
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from targets import TARGETS, Target

from fastnn import _lazy, serialization
from fastnn.errors import ModelFileError

SECONDS, MEMORY = 10.0, 64 << 20
AGAIN = 0.5  # seconds after which a file is read once more, and the shorter time taken
FOUND = Path("out/fuzz")
GUIDED = "guided"  # in place of a seed


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

    def count(self, outcome: str, taken: float, grown: int) -> None:
        """One more execution."""
        counts = self.read()
        microseconds = int(1e6 * taken)
        if microseconds > counts["slowest_us"]:
            counts.update(slowest_us=microseconds, slowest=counts["number"])
        counts["most_kb"] = max(counts["most_kb"], grown >> 10)
        if not outcome.isupper():
            counts[outcome] += 1
        counts["number"] += 1
        self.write(**counts)


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


class Memory:
    """How far a call raises the highest resident size of this process.

    What the kernel tells costs 0.1 ms a question here, as much as some files, so the
    size at rest is asked for now and then only.
    """

    def __init__(self) -> None:
        self._file = os.open("/proc/self/statm", os.O_RDONLY)
        self._peak, self._rest, self._asked = 0, 0, 0

    def before(self) -> None:
        if self._asked % 64 == 0:
            pages = int(os.pread(self._file, 99, 0).split()[1])
            self._rest, self._peak = pages * resource.getpagesize(), self._highest()
        self._asked += 1

    def grown(self) -> int:
        """Bytes above what there was at rest, where that is more than ever before."""
        highest = self._highest()
        if highest <= self._peak:
            return 0
        self._asked = 0
        return highest - self._rest

    def _highest(self) -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


_memory = Memory()


class Result(NamedTuple):
    """What one execution showed; an outcome in capitals is a finding.

    Attributes:
        outcome, details: of it.
        taken: seconds.
        grown: bytes by which the process has grown beyond all it had before.
    """

    outcome: str
    details: str
    taken: float
    grown: int


def execute(target: Target, data: bytes, path: str, watch: Watch) -> Result:
    """Reads a file."""
    with open(path, "wb", buffering=0) as file:
        file.write(data)
    result = _read(target, len(data), path, watch)
    if result.taken > AGAIN:  # the machine may have stood still meanwhile
        again = _read(target, len(data), path, watch)
        return min(result, again, key=lambda one: one.taken)
    return result


def _read(target: Target, size: int, path: str, watch: Watch) -> Result:
    _memory.before()
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
    taken, grown = time.perf_counter() - began, _memory.grown()
    if watch.seen:
        outcome, details = "BESIDE", "\n".join([*watch.seen, details])
    elif taken > SECONDS:
        outcome, details = "SLOW", f"{taken:.1f} s\n{details}"
    elif grown > 2 * size + MEMORY:
        outcome, details = "MEMORY", f"{grown >> 20} MiB\n{details}"
    return Result(outcome, details, taken, grown)


def warm(target: Target, path: str, watch: Watch) -> None:
    """Reads the sound files, after which all is imported that ever is.

    What stays is taken out of the garbage collector's sight (a third of the time that
    a model takes), and near names are looked up once: they take 5 ms.
    """
    _lazy.load_everywhere()
    _remember_near_names()
    for data in target.seeds:
        for _ in range(2):
            result = execute(target, data, path, watch)
        assert result.outcome == "loaded", (target.ending, result.details)
    gc.collect()
    gc.freeze()


def _remember_near_names() -> None:
    find, known = serialization.suggest, {}

    def remembered(name: Any, names: Any) -> str:
        key = str(name), len(names)
        if key not in known:
            known[key] = find(name, names)
        return known[key]

    serialization.suggest = remembered  # type: ignore[attr-defined]
    remembered("Dens", ["Dense"])


def made(target: Target, seed: int, number: int) -> bytes:
    return target.make(random.Random(seed << 40 | number))


# ---- many of them ------------------------------------------------------------------


def work(name: str, seed: int, board: Board, until: int, deadline: float) -> None:
    """Executes from the board's number on, until a number or a time."""
    target, watch = TARGETS[name](), Watch()
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        path = str(Path(folder, f"m{target.ending}"))
        warm(target, path, watch)
        while (number := board.read()["number"]) < until:
            if time.monotonic() > deadline:
                break
            data = made(target, seed, number)
            result = execute(target, data, path, watch)
            if result.outcome.isupper():
                keep(name, seed, number, result, data)
            board.count(result.outcome, result.taken, result.grown)


def _folder() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def keep(name: str, seed: int, number: int, result: Result, data: bytes) -> None:
    """Writes down a finding."""
    FOUND.mkdir(parents=True, exist_ok=True)
    (FOUND / f"{name}-{seed}-{number}").write_bytes(data)
    again = f"{result.outcome} {name} --seed {seed} --only {number}"
    with open(FOUND / f"{name}.txt", "a", encoding="utf-8") as file:
        file.write(f"{again}\n{result.details}\n\n")
    print(again, file=sys.stderr)


class Record:
    """What was done with a format and a seed so far: a file beside the findings."""

    def __init__(self, name: str, seed: int | str, resume: bool) -> None:
        self.file = FOUND / f"{name}-{seed}.json"
        self.board = Board()
        self._told = {"format": name, "seed": seed, "seconds": 0.0}
        if resume and self.file.exists():
            told = json.loads(self.file.read_text())
            self._told["seconds"] = told["seconds"]
            self.board.write(**{key: told[key] for key in Board.NAMES})
        self._began = time.monotonic()

    def summary(self) -> dict[str, Any]:
        counts = self.board.read()
        found = counts["number"] - counts["loaded"] - counts["refused"]
        seconds = self._told["seconds"] + time.monotonic() - self._began
        told = {**self._told, "seconds": round(seconds, 1)}
        return {**told, **counts, "findings": found}

    def save(self) -> dict[str, Any]:
        FOUND.mkdir(parents=True, exist_ok=True)
        told = self.summary()
        whole = self.file.with_suffix(".new")
        whole.write_text(json.dumps(told))
        whole.replace(self.file)
        return told


def table() -> str:
    """All records as rows, guided runs beside the others."""
    rows: dict[str, list[int]] = {name: [0] * 6 for name in TARGETS}
    for file in sorted(FOUND.glob("*.json")):
        one = json.loads(file.read_text())
        row = rows[one["format"]]
        row[one["seed"] == GUIDED] += one["number"]
        row[2] += one["loaded"]
        row[3] += one["findings"]
        row[4] = max(row[4], one["slowest_us"] // 1000)
        row[5] = max(row[5], one["most_kb"] >> 10)
    head = "format|by structure|by coverage|loaded|findings|slowest ms|most MiB"
    lines = [head, "|".join("---" for _ in head.split("|"))]
    lines += ["|".join([name, *(f"{n:,}" for n in row)]) for name, row in rows.items()]
    return "\n".join(f"| {' | '.join(line.split('|'))} |" for line in lines)


def fuzz(
    name: str, seed: int, runs: int, seconds: float, resume: bool
) -> dict[str, Any]:
    """Runs a worker, and another one after each that dies; the numbers of all."""
    record, deadline = Record(name, seed, resume), time.monotonic() + seconds
    board = record.board
    while True:
        status = _watched(lambda: work(name, seed, board, runs, deadline), record)
        if status == 0:
            return record.save()
        if os.WIFEXITED(status):
            raise SystemExit(f"the fuzzer itself failed on {name}")
        number = board.read()["number"]
        death = Result("CRASH", f"signal {os.WTERMSIG(status)}", 0, 0)
        keep(name, seed, number, death, made(TARGETS[name](), seed, number))
        board.count("CRASH", 0, 0)


def _watched(function: Callable[[], None], record: Record) -> int:
    """Calls a function in a process of its own, which it ends when it stays with one
    file: its exit status. Time in which the machine stands still does not count."""
    pid = os.fork()
    if pid == 0:
        try:
            warnings.simplefilter("ignore")
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(77)
        os._exit(0)
    last, waited, step, polls = -1, 0.0, 0.02, 0
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        number = record.board.read()["number"]
        goes_on = number != last or _stopped(pid)
        last, waited = number, (0 if goes_on else waited + step)
        if waited > 6 * SECONDS:  # its own start takes a while
            os.kill(pid, 9)
        polls += 1
        if polls % 250 == 0:
            record.save()
        time.sleep(step)


def _stopped(pid: int) -> bool:
    """Whether a process waits to be continued (SIGSTOP)."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()[0] in "Tt"


def guided(name: str, folder: str, seconds: float, record: Record) -> None:
    """Atheris changes the files, led by the Python code that they reach."""
    import atheris

    target, watch = TARGETS[name](), Watch()
    readers = ("fastnn.saving.", "fastnn.serialization", "fastnn.onnx.importing.")
    for module in [m for n, m in sys.modules.items() if n.startswith(readers)]:
        for key, value in vars(module).items():
            own = getattr(value, "__module__", "") == module.__name__
            if own and isinstance(value, FunctionType):
                setattr(module, key, atheris.instrument_func(value))
    seeds = Path(folder, name)
    seeds.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (seeds / f"seed-{number}").write_bytes(data)
    place = tempfile.mkdtemp(dir=_folder())
    path = str(Path(place, f"m{target.ending}"))
    warm(target, path, watch)

    def one(data: bytes) -> None:
        result = execute(target, data, path, watch)
        if result.outcome.isupper():
            keep(name, -1, record.board.read()["number"], result, data)
        record.board.count(result.outcome, result.taken, result.grown)

    # How long a file takes is measured here: libFuzzer would also end a run that the
    # machine has stood still for, with 0 after a second.
    patience = f"-timeout={int(60 * SECONDS)}"
    atheris.Setup(
        [
            *(sys.argv[0], f"-max_total_time={int(seconds)}", patience),
            *("-verbosity=0", "-artifact_prefix=" + str(Path(folder, f"{name}-"))),
            str(seeds),
        ],
        one,
    )
    atheris.Fuzz()


def fuzz_guided(name: str, folder: str, seconds: float, resume: bool) -> dict[str, Any]:
    """Atheris in a process of its own; the numbers of it."""
    record = Record(name, GUIDED, resume)
    status = _watched(lambda: guided(name, folder, seconds, record), record)
    if status:
        raise SystemExit(f"Atheris ended with {status} on {name}; see {folder}")
    return record.save()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("formats", nargs="*", choices=[*TARGETS, []])
    parser.add_argument("--runs", type=int, default=1 << 60)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--guided", metavar="DIR")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    names = given.formats or list(TARGETS)
    if given.table:
        print(table())
        return 0
    if given.only is not None:
        target = TARGETS[names[0]]()
        data = made(target, given.seed, given.only)
        path = str(Path(tempfile.mkdtemp(), f"m{target.ending}"))
        watch = Watch()
        warm(target, path, watch)
        print(path, *execute(target, data, path, watch), sep="\n")
        return 0
    summary = []
    for name in names:
        if given.guided:
            more = (given.guided, given.seconds, given.resume)
            summary.append(fuzz_guided(name, *more))
        else:
            limits = (given.seed, given.runs, given.seconds, given.resume)
            summary.append(fuzz(name, *limits))
        print(json.dumps(summary[-1]), file=sys.stderr, flush=True)
    print(json.dumps(summary))
    return int(any(one["findings"] for one in summary))


if __name__ == "__main__":
    sys.exit(main())
