# SPDX-License-Identifier: Apache-2.0
"""Stepping out of a trace: creating variables and computing now, not later."""

from __future__ import annotations

from fastnn.autodiff._tape import state


class init_scope:  # noqa: N801  (TensorFlow's name)
    """Context in which ops run eagerly and unrecorded, also while tracing.

    Layers build their weights in it, so that an initializer's random ops are computed
    once instead of becoming part of the traced function.
    """

    def __enter__(self) -> None:
        current = state()
        self._saved = current.tracer, current.tapes
        current.tracer, current.tapes = None, []

    def __exit__(self, *exc: object) -> None:
        current = state()
        current.tracer, current.tapes = self._saved
