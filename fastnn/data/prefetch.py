# SPDX-License-Identifier: Apache-2.0
"""Batches of a sequence made ahead of time by threads or processes, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

AHEAD = 10  # batches that wait at most, Keras's max_queue_size


def prefetched(
    source: Any, indices: Iterable[int], workers: int, processes: bool, ahead: int
) -> Generator[Any]:
    """`source[i]` for each index, in order, computed elsewhere.

    What `source[i]` raises is raised here, with the traceback of where it happened.
    Closing the iterator, or leaving it by an exception, ends the workers.

    Args:
        source: has `__getitem__`; pickled once per process.
        workers: number of threads or processes, at least 1.
        processes: use processes.
        ahead: how many batches may wait to be used.
    """
    executor, call = _executor(source, workers, processes)
    waiting: deque[Future[Any]] = deque()
    finished = False
    try:
        for index in indices:
            waiting.append(executor.submit(call, index))
            if len(waiting) > max(ahead, workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        finished = True
    except GeneratorExit:
        finished = True
        raise
    finally:
        # After an exception (Ctrl-C too) nobody waits for batches that are not wanted.
        executor.shutdown(wait=finished, cancel_futures=True)


def _executor(
    source: Any, workers: int, processes: bool
) -> tuple[Executor, Callable[[int], Any]]:
    # Imported here: multiprocessing takes a tenth of the time of `import fastnn`.
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

    if not processes:
        return ThreadPoolExecutor(workers, "fastnn-data"), source.__getitem__
    executor = ProcessPoolExecutor(workers, initializer=_remember, initargs=(source,))
    return executor, _item


_source: Any = None


def _remember(source: Any) -> None:
    """In a new process: the sequence it works for."""
    global _source
    _source = source


def _item(index: int) -> Any:
    return _source[index]
