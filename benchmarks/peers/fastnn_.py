# SPDX-License-Identifier: Apache-2.0
"""fastnn through its public interface only: what a user writes is what is timed."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np

import fastnn
from benchmarks.peers._keras_style import KerasStylePeer
from benchmarks.peers.base import Peer
from benchmarks.workloads import Workload, initial_weights
from fastnn import Input, Sequential, layers, optimizers


class FastnnPeer(KerasStylePeer):
    keras = SimpleNamespace(
        Input=Input, Sequential=Sequential, layers=layers, optimizers=optimizers
    )

    def versions(self) -> dict[str, str]:
        return {"fastnn": fastnn.__version__}


def compile_seconds(workload: Workload, x: np.ndarray, y: np.ndarray) -> float:
    """What the plan of a training step takes to make: a new model's first `fit` of one
    batch, less the second. It is Python on one thread, so its processor time counts,
    which a busy machine does not stretch as it does the wall's."""
    peer = FastnnPeer()
    peer.setup(workload, initial_weights(workload), x, y)
    seconds = []
    for _ in range(2):
        start = time.thread_time()
        peer.step_losses(1)
        seconds.append(time.thread_time() - start)
    return max(0.0, seconds[0] - seconds[1])


def make(variant: str) -> Peer:
    return FastnnPeer()
