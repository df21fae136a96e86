# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels that the records' samples ask for, as text for a compiler.

    cuda_kernels.py FOLDER [--modules BUILD] [--one-each] [--headers NAME.cuh ...]

writes what the CMake option FASTNN_CUDA builds: `NAME.cu` for each group of kernels,
`options` for nvcc, and `table.inc`, in which GROUP(NAME) and KERNEL(symbol, NAME) say
what is where. `--names` prints the groups instead, without fastnn: a build must know
them before it has the package.
"""

from __future__ import annotations

import argparse
import sys
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec

    from fastnn.backends.cuda.launches import Launch
    from fastnn.opset._opdef import Sample

HALVES = ("bfloat16", "float16")  # the CPU computes these by way of float32
# Translation units of a header, where one would take minutes.
PARTS = {"pointwise": 4}


class BuiltModules(MetaPathFinder):
    """Finds the compiled modules of a build that lie apart from the Python files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        """The module's file of that folder, if it has one."""
        place = self._folder / name.replace(".", "/")
        for file in sorted(place.parent.glob(f"{place.name}.*.so")):
            return spec_from_file_location(name, file)
        return None


def launches_of(name: str, dtype: str, sample: Sample) -> list[Launch]:
    """What a device would do for a sample; its operands lie nowhere."""
    import numpy as np

    from fastnn.backends.cuda import rules
    from fastnn.backends.cuda.launches import Launch, Operand, dense
    from fastnn.opset import Spec, get_op

    op = get_op(name)
    arrays = [np.ascontiguousarray(a).reshape(np.shape(a)) for a in sample.inputs]
    given = [Spec(a.shape, a.dtype.name) for a in arrays]
    specs = [Spec(*s) for s in op.infer(given, sample.attrs)]
    ins = []
    for array in arrays:
        wide = np.broadcast_to(array, op.operand_shape(array.shape, specs[0].shape))
        strides = tuple(s // array.itemsize for s in wide.strides)
        ins.append(Operand(0, array.dtype.name, tuple(wide.shape), strides))
    outs = [dense(0, s.dtype, s.shape) for s in specs]
    addresses = count(256, 256)
    call = rules.Call(
        op,
        tuple(ins),
        tuple(outs),
        sample.attrs,
        lambda _: next(addresses),
        lambda: next(addresses),
    )
    return [task for task in rules.tasks(call) if isinstance(task, Launch)]


@cache
def kernels(one_each: bool = False) -> dict[str, dict[str, Launch]]:
    """By header and symbol: all specialisations, or one of each device function."""
    import numpy as np

    from fastnn.backends.cuda import rules
    from fastnn.opset import all_ops
    from fastnn.selftest.cases import DTYPES, narrowed, samples

    found: dict[str, dict[str, Launch]] = {}
    seen: set[str] = set()
    for name, op in all_ops().items():
        if rules.find_rule(name) is None:
            continue
        for dtype in (*DTYPES, *HALVES):
            given = list(samples(op, "float32" if dtype in HALVES else dtype))
            if dtype in HALVES:
                floats = [
                    s for s in given if s.inputs and s.inputs[0].dtype == np.float32
                ]
                given = [narrowed(s, dtype) for s in given] if floats else []
            for sample in given:
                for task in launches_of(name, dtype, sample):
                    function = task.body.split("<")[0]
                    if one_each and function in seen:
                        continue
                    seen.add(function)
                    found.setdefault(task.header, {})[task.symbol] = task
    return found


def group_names() -> list[str]:
    """The translation units, `PARTS` of each header."""
    folder = Path(__file__).resolve().parents[1] / "csrc" / "cuda"
    stems = sorted(path.stem for path in folder.glob("*.cuh"))
    return [f"{stem}_{i}" for stem in stems for i in range(PARTS.get(stem, 1))]


def groups(made: dict[str, dict[str, Launch]]) -> dict[str, list[Launch]]:
    """The kernels of each translation unit; none of a header without kernels."""
    found: dict[str, list[Launch]] = {name: [] for name in group_names()}
    for header, of_header in made.items():
        stem = header.split(".")[0]
        for i, symbol in enumerate(sorted(of_header)):
            found[f"{stem}_{i % PARTS.get(stem, 1)}"].append(of_header[symbol])
    return found


def write(folder: Path, units: dict[str, list[Launch]]) -> None:
    """The files; those that would not change stay as old as they are."""
    from fastnn.backends.cuda import compiler, source

    folder.mkdir(parents=True, exist_ok=True)
    lines = [f'FINGERPRINT("{compiler.fingerprint()}")\n']
    for name, launches in units.items():
        lines.append(f"GROUP({name})\n")
        lines += [f"KERNEL({launch.symbol}, {name})\n" for launch in launches]
    texts = {f"{name}.cu": source.module_text(of) for name, of in units.items()}
    texts |= {"table.inc": "".join(lines), "options": " ".join(compiler.OPTIONS)}
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--names", action="store_true", help="print the groups")
    parser.add_argument("--modules", type=Path, help="where compiled modules lie")
    parser.add_argument("--one-each", action="store_true", help="one per function")
    parser.add_argument("--headers", nargs="+", help="only those of these files")
    given = parser.parse_args(arguments)
    if given.names or given.folder is None:
        print(*group_names(), sep=";", end="")
        return
    if given.modules:
        sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
        sys.meta_path.insert(0, BuiltModules(given.modules))
    made = kernels(given.one_each)
    wanted = given.headers or made
    write(given.folder, groups({header: made[header] for header in wanted}))


if __name__ == "__main__":
    main(sys.argv[1:])
