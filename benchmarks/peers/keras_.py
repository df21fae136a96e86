# SPDX-License-Identifier: Apache-2.0
"""Keras 3 `fit` on JAX and on TensorFlow (`KERAS_BACKEND` is set by the driver).

`tf` compiles the model with no options at all, as most people do; `tf_tuned` and
`tf_jit` choose `steps_per_execution` by trying, without and with XLA.
"""

from __future__ import annotations

import time

import keras
import numpy as np

from benchmarks.layers import Conv
from benchmarks.peers._keras_style import KerasStylePeer
from benchmarks.peers.base import Peer

# Divisors of the workloads' steps, for a remainder is a second program. Keras 3 on JAX
# unrolls the steps into one program, so compile time grows with them.
_STEPS = {"tensorflow": (1, 10, 30, 150), "jax": (1, 5, 15)}


class KerasPeer(KerasStylePeer):
    keras = keras

    def __init__(self, tuned: bool, **options: object) -> None:
        super().__init__(**options)
        self.tuned = tuned

    def build(self) -> None:
        keras.utils.clear_session()
        super().build()

    def tune(self) -> str:
        if not self.tuned or len(self._candidates()) == 1:
            return ""
        seconds: dict[int, float] = {}
        for steps in self._candidates():
            self.options["steps_per_execution"] = steps
            self.compile()
            self.run_epochs(1, True)
            seconds[steps] = min(self._epoch_seconds() for _ in range(3))
        best = min(seconds, key=seconds.__getitem__)
        self.options["steps_per_execution"] = best
        self.compile()
        self.reset()
        return f"steps_per_execution={best}"

    def _candidates(self) -> list[int]:
        """One for images: a step of tens of milliseconds hides its dispatch, and the
        programs take a minute each to compile."""
        known = _STEPS[keras.backend.backend()]
        if self.workload.has(Conv):
            return [1]
        return [steps for steps in known if self.workload.steps % steps == 0]

    def _epoch_seconds(self) -> float:
        start = time.perf_counter()
        self.run_epochs(1, True)
        return time.perf_counter() - start

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        losses = super().run_epochs(epochs, shuffle)
        # fit returns while JAX may still run: wait for the last update.
        np.asarray(self.model.trainable_variables[-1].value)
        return losses

    def versions(self) -> dict[str, str]:
        facts = {"keras": keras.__version__}
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            facts["tensorflow"] = tf.__version__
        return facts


def make(variant: str) -> Peer:
    if variant == "tf":
        return KerasPeer(tuned=False)
    if variant == "jax":
        return KerasPeer(tuned=True)
    return KerasPeer(tuned=True, jit_compile=variant == "tf_jit")
