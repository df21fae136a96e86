# SPDX-License-Identifier: Apache-2.0
"""fastnn through its public interface only: what a user writes is what is timed."""

from __future__ import annotations

from types import SimpleNamespace

import fastnn
from benchmarks.peers._keras_style import KerasStylePeer
from benchmarks.peers.base import Peer
from fastnn import Input, Sequential, layers, optimizers


class FastnnPeer(KerasStylePeer):
    keras = SimpleNamespace(
        Input=Input, Sequential=Sequential, layers=layers, optimizers=optimizers
    )

    def versions(self) -> dict[str, str]:
        return {"fastnn": fastnn.__version__}


def make(variant: str) -> Peer:
    return FastnnPeer()
