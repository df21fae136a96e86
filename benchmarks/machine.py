# SPDX-License-Identifier: Apache-2.0
"""The machine sheet that stands beside every figure."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

_FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
)


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _virtual_machine(info: dict[str, str]) -> str:
    if "hypervisor" not in info.get("flags", "").split():
        return "none seen"
    vendor = Path("/sys/class/dmi/id/sys_vendor")
    return (
        f"yes ({vendor.read_text().strip() if vendor.exists() else 'vendor unknown'})"
    )


def _governor() -> str:
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    return path.read_text().strip() if path.exists() else "not exposed"


def _revision() -> str:
    root = Path(__file__).resolve().parent.parent
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def openblas_kernels() -> str:
    """Name of the kernel set OpenBLAS chose, which decides NumPy's speed."""
    try:
        import threadpoolctl
    except ImportError:
        return "unknown (threadpoolctl is not installed)"
    pools = threadpoolctl.threadpool_info()
    found = [p for p in pools if p["internal_api"] == "openblas"]
    return ", ".join(f"{p['version']} {p['architecture']}" for p in found) or "none"


def one_blas_thread() -> AbstractContextManager[Any]:
    """NumPy's products on one thread: on a busy machine two wait for each other a
    thousand times longer than they compute."""
    try:
        import threadpoolctl
    except ImportError:
        return nullcontext()
    return threadpoolctl.threadpool_limits(1, "blas")


def machine_sheet(threads: int) -> dict[str, Any]:
    """Facts about the machine, not about any framework."""
    info = _cpuinfo()
    flags = set(info.get("flags", "").split())
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _revision(),
        "cpu": info.get("model name", platform.processor()),
        "family/model/stepping": "/".join(
            info.get(key, "?") for key in ("cpu family", "model", "stepping")
        ),
        "cores": os.cpu_count(),
        "threads": threads,
        "flags": " ".join(flag for flag in _FLAGS if flag in flags),
        "virtual machine": _virtual_machine(info),
        "governor": _governor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "openblas": openblas_kernels(),
        "load before": round(os.getloadavg()[0], 2),
    }
