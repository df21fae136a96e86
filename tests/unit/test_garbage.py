# SPDX-License-Identifier: Apache-2.0
"""Python's garbage collector around work that makes no garbage."""

from __future__ import annotations

import gc
import os
import threading
import weakref

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


def _is_old(thing: object) -> bool:
    return any(thing is other for other in gc.get_objects(generation=2))


def test_what_stays_is_old_at_once() -> None:
    with Uncollected():
        young = [[]]
    assert not _is_old(young)
    with Uncollected(stays=True):
        made = [[]]
    assert _is_old(made)
    assert gc.get_freeze_count() == 0


class Node:
    """What a weak reference can watch."""


def test_what_stays_is_collected_when_it_does_not() -> None:
    with Uncollected(stays=True):
        node = Node()
        node.itself = node  # type: ignore[attr-defined]
    watch = weakref.ref(node)
    del node
    gc.collect()
    assert watch() is None


def test_what_the_user_froze_stays_frozen() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with Uncollected(stays=True):
            made = [[]]
        assert gc.get_freeze_count() == frozen > 0
        assert not _is_old(made)
    finally:
        gc.unfreeze()


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
