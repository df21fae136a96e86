# SPDX-License-Identifier: Apache-2.0
"""fastnn through its public interface only: what a user writes is what is timed."""

from __future__ import annotations

import fastnn
from benchmarks.peers._keras_style import KerasStylePeer
from benchmarks.peers.base import Peer


class FastnnPeer(KerasStylePeer):
    keras = fastnn

    def versions(self) -> dict[str, str]:
        return {"fastnn": fastnn.__version__}


def make(variant: str) -> Peer:
    return FastnnPeer()
