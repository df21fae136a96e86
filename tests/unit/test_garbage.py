# SPDX-License-Identifier: Apache-2.0
"""Python's garbage collector around work that makes no garbage."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from fastnn._garbage import Uncollected


def test_the_collector_comes_back_as_it_was() -> None:
    assert gc.isenabled()
    with Uncollected():
        assert not gc.isenabled()
        with Uncollected():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with Uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_of_a_fork_collects_though_another_thread_was_inside() -> None:
    entered, done = threading.Event(), threading.Event()

    def work() -> None:
        with Uncollected():
            entered.set()
            done.wait(30)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait(30)
    assert not gc.isenabled()
    child = os.fork()
    if child == 0:
        os._exit(0 if gc.isenabled() else 1)
    try:
        assert not gc.isenabled()  # the thread is still inside here
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        thread.join()
    assert gc.isenabled()
