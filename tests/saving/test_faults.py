# SPDX-License-Identifier: Apache-2.0
"""Every call with which a save reaches the disk fails once, in every way.

All of a save goes through `os`, which `test_nothing_else_writes` sees from outside, so
a layer there meets every write. With FASTNN_LONG=1, all kinds of files and faults.
"""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from saving_cases import X, Y, assert_same, trained
from saving_kinds import KINDS, LONG

# Those that a disk can refuse; what clears up after a failure is not among them.
NAMES = ("open", "pwrite", "write", "fsync", "ftruncate", "replace", "link", "chmod")
FAULTS = ("ENOSPC", "EIO", "ENOSPC on", "EIO on", "short", "short, then ENOSPC")


class Faults:
    """Lets the n-th call fail.

    Args:
        monkeypatch: which replaces the functions of `os`.
        number: of the call, from 1; 0 only counts.
        fault: an error once; "on": from then on; "short": a write of a part of the
            bytes, which is no error, unless the next one has it.

    Attributes:
        calls: names of the calls made.
    """

    def __init__(self, monkeypatch, number, fault):
        self.number = number
        self.fault = fault
        self.calls = []
        for name in NAMES:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name, function):
        def call(*args, **kwargs):
            self.calls.append(name)
            self._meet(name)
            if self.fault.startswith("short") and name == "pwrite" and self._is_now():
                handle, data, place = args
                return function(handle, data[: len(data) // 3 or 1], place)
            return function(*args, **kwargs)

        return call

    def _is_now(self):
        return len(self.calls) == self.number

    def _meet(self, name):
        late = len(self.calls) > self.number > 0
        if self.fault.startswith("short"):
            fails = late and self.fault.endswith("ENOSPC") and name == "pwrite"
        else:
            fails = self._is_now() or (late and self.fault.endswith(" on"))
        if fails:
            code = errno.EIO if "EIO" in self.fault else errno.ENOSPC
            raise OSError(code, os.strerror(code))


@pytest.fixture(scope="module")
def states():
    """Two models whose variables all differ."""
    first, second = trained(), trained()
    second.fit(np.flip(X), np.flip(Y), epochs=2, batch_size=8, verbose=0)
    return first, second


CASES = [
    (kind, fault)
    for kind in KINDS
    for fault in FAULTS
    if LONG or (kind == "keras" and fault != "ENOSPC") or fault == "ENOSPC on"
]


@pytest.mark.parametrize(("kind", "fault"), CASES)
def test_every_call_fails(kind, fault, states, quick_path, monkeypatch, capsys):
    one, (old, new), other = KINDS[kind], states, trained()
    path = str(quick_path / one.name)
    one.write(old, path)
    before = {file: file.read_bytes() for file in quick_path.iterdir()}
    with monkeypatch.context() as patch:
        calls = Faults(patch, 0, fault).calls
        one.write(new, path)
    failed = 0
    for number in range(1, len(calls) + 1):
        for file in quick_path.iterdir():
            file.unlink()
        for file, data in before.items():
            file.write_bytes(data)
        with monkeypatch.context() as patch:
            faults = Faults(patch, number, fault)
            try:
                one.write(new, path)
                met = False
            except OSError:
                met = True
        assert len(faults.calls) >= number
        failed += met
        # The last thing that can fail comes after the rename: the file is new then.
        unchanged = all(f.exists() and f.read_bytes() == before[f] for f in before)
        assert unchanged <= met
        if not unchanged:
            assert_same(one.read(path, other), new)
        assert one.files > 1 or os.listdir(quick_path) == [one.name]
    assert failed == len(calls) or fault.startswith("short") or one.files > 1
    assert {"pwrite", "fsync", "replace"} <= set(calls)
    if LONG:
        with capsys.disabled():
            print(f" {kind}, {fault}: {len(calls)} calls, {failed} failed", end="")
