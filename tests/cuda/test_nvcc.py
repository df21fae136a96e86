# SPDX-License-Identifier: Apache-2.0
"""nvcc compiles the kernels into a module, and the backend takes them from there.

A run of all tests builds two files of kernels; FASTNN_LONG all specialisations, which
takes minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cuda_kernels
import pytest

import fastnn
from fastnn.backends.cuda import compiler
from fastnn.backends.cuda.compiler import Compiler
from fastnn.backends.cuda.launches import Launch

ROOT = Path(__file__).resolve().parents[2]
LONG = bool(os.environ.get("FASTNN_LONG"))
HEADERS = ("copy.cuh", "rows.cuh")
SMALL = ["--one-each", "--headers", *HEADERS]


def wanted() -> dict[str, dict[str, Launch]]:
    made = cuda_kernels.kernels(one_each=not LONG)
    return made if LONG else {header: made[header] for header in HEADERS}


class NoNvrtc:
    """Stands for NVRTC where nothing may be compiled."""

    def getVersion(self) -> tuple[int, int]:
        return 13, 0


# ---- the module ----------------------------------------------------------------------


def build(folder: Path) -> Path:
    """As the package's own build does it, without the rest of the package."""
    pybind11 = [sys.executable, "-m", "pybind11", "--cmakedir"]
    found = subprocess.run(pybind11, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("needs pybind11 in the environment of the tests")
    paths = [str(Path(fastnn.__file__).parents[1]), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    configure = [
        *("cmake", "-S", str(ROOT / "csrc/bindings/cuda"), "-B", str(folder)),
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={found.stdout.strip()}",
        f"-DFASTNN_CUDA_KERNELS={'' if LONG else ';'.join(SMALL)}",
    ]
    for command in (configure, ["cmake", "--build", str(folder), "-j2"]):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert not done.returncode, done.stdout[-4000:] + done.stderr[-4000:]
    (made,) = folder.glob("_cuda_kernels.*.so")
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    for tool in ("nvcc", "cmake"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool} on the path")
    spec = spec_from_file_location(
        "_cuda_kernels", build(tmp_path_factory.mktemp("nvcc"))
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nvcc_builds_all_kernels_for_all_architectures(built: Any) -> None:
    symbols = {symbol for kernels in wanted().values() for symbol in kernels}
    assert set(built.kernels) == symbols
    assert built.architectures == "80 90 100"
    for header in wanted():
        binary = built.fatbin(f"{header.split('.')[0]}_0")
        for architecture in (b"sm_80", b"sm_90", b"sm_100"):
            assert architecture in binary
    with pytest.raises(KeyError, match="no group 'nothing'"):
        built.fatbin("nothing")


def test_the_backend_takes_built_kernels_and_compiles_the_rest(
    built: Any, tmp_path: Path
) -> None:
    assert built.fingerprint == compiler.fingerprint()
    of_header = wanted()["copy.cuh"]
    taken = Compiler(NoNvrtc(), "sm_90", tmp_path, built).cubins(
        [next(iter(of_header.values()))]
    )
    ((binary, symbols),) = taken
    assert binary == built.fatbin("copy_0")
    assert symbols == set(of_header), "nobody asks for the group again"


# ---- the choice, without nvcc --------------------------------------------------------


@cache
def launch(body: str) -> Launch:
    return Launch("copy.cuh", body, (), (), (), 1, 32)


def fake(**changes: Any) -> Any:
    known = {
        "fingerprint": compiler.fingerprint(),
        "architectures": "80 90",
        "kernels": {launch("a").symbol: "one", launch("b").symbol: "one"},
        "fatbin": lambda group: b"fat " + group.encode(),
    }
    return SimpleNamespace(**{**known, **changes})


class Compiles(Compiler):
    """Compiles nothing, and says what it was asked for."""

    def cubin(self, text: str) -> bytes:
        return text.encode()


@pytest.mark.parametrize("architecture", ["sm_80", "sm_86", "sm_120"])
def test_a_group_comes_once_and_what_it_lacks_is_compiled(
    architecture: str, tmp_path: Path
) -> None:
    made = Compiles(NoNvrtc(), architecture, tmp_path, fake()).cubins(
        [launch("a"), launch("b"), launch("c")]
    )
    assert made[0] == (b"fat one", {launch("a").symbol, launch("b").symbol})
    assert made[1][1] == {launch("c").symbol}
    assert len(made) == 2


def test_devices_older_than_what_was_built_compile_their_own(tmp_path: Path) -> None:
    made = Compiles(NoNvrtc(), "sm_75", tmp_path, fake()).cubins([launch("a")])
    assert [symbols for _, symbols in made] == [{launch("a").symbol}]
    assert b"fat" not in made[0][0]


def test_kernels_built_from_another_text_are_not_taken(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fastnn._cuda_kernels", fake(fingerprint="old"))
    compiler.built_with_the_package.cache_clear()
    assert compiler.built_with_the_package() is None
    monkeypatch.setitem(sys.modules, "fastnn._cuda_kernels", same := fake())
    compiler.built_with_the_package.cache_clear()
    assert compiler.built_with_the_package() is same
    compiler.built_with_the_package.cache_clear()
