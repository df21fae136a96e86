# SPDX-License-Identifier: Apache-2.0
"""fastnn's threads as threadpoolctl sees them.

threadpoolctl finds libraries by file name and asks a controller class about each. Ours
is registered where threadpoolctl is loaded already; fastnn never imports it unasked.
"""

from __future__ import annotations

import sys
from typing import Any

_registered = False


def offer() -> None:
    """Register with threadpoolctl if this process uses it; cheap, call it often."""
    if not _registered and "threadpoolctl" in sys.modules:
        register()


def register() -> None:
    """Make `threadpoolctl.threadpool_info` and `threadpool_limits` include fastnn.

    Called by itself when threadpoolctl is imported before fastnn, or before the first
    plan is built; call it where that comes too late.

    Raises:
        ModuleNotFoundError: threadpoolctl is not installed.
    """
    global _registered
    if _registered:
        return
    import threadpoolctl

    from fastnn import __version__, _core, config

    class FastnnController(threadpoolctl.LibController):  # type: ignore[misc]
        user_api = "fastnn"
        internal_api = "fastnn"
        filename_prefixes = ("libfastnn",)

        def get_num_threads(self) -> int:
            return config.get_num_threads()

        def set_num_threads(self, num_threads: int) -> None:
            config.set_num_threads(num_threads)

        def get_version(self) -> str:
            return __version__

        def set_additional_attributes(self) -> None:
            self.architecture: Any = _core.isa()

    threadpoolctl.register(FastnnController)
    _registered = True
