# SPDX-License-Identifier: Apache-2.0
"""Steps become CUDA graphs; what others ask of the device meanwhile does not."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar

from fastnn.backends.cuda.device import STEPS_TOGETHER, WARM_UPS, Captured


class Stream:
    """What CUDA says of streams: a capture takes all that is put on its stream, and
    nothing of it runs before the graph is launched.
    """

    current: ClassVar[list[Stream]] = []

    def __init__(self):
        self.ran, self.captured = [], None

    def put(self, work):
        (self.ran if self.captured is None else self.captured).append(work)

    def begin_capture(self):
        self.captured = []

    def end_capture(self):
        nodes, self.captured = self.captured, None
        return Graph(nodes)

    def __enter__(self):
        Stream.current.append(self)

    def __exit__(self, *error):
        Stream.current.pop()


class Graph:
    def __init__(self, nodes):
        self.nodes = nodes

    def launch(self, stream):
        for node in self.nodes:
            stream.put(node)


def test_what_others_put_on_the_stream_during_a_capture_runs_once() -> None:
    main = Stream()
    uploads = iter(range(1000))

    def step():
        Stream.current[-1].put("step")
        main.put(f"upload {next(uploads)}")  # as another thread would

    steps = WARM_UPS + 2 * STEPS_TOGETHER + 3
    Captured(nullcontext(), main, Stream, [step]).run(steps)
    others = [work for work in main.ran if work != "step"]
    assert main.ran.count("step") == steps
    assert others == [f"upload {i}" for i in range(next(uploads))]
    assert not Stream.current


def test_steps_go_to_the_stream_of_the_device_in_order() -> None:
    main = Stream()
    calls = [lambda i=i: Stream.current[-1].put(i) for i in range(3)]
    Captured(nullcontext(), main, Stream, calls).run(40)
    assert main.ran == [0, 1, 2] * 40
