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
    from collections.abc import Callable, Iterator, Sequence
    from importlib.machinery import ModuleSpec

    from fastnn.backends.cuda.launches import Launch
    from fastnn.opset._opdef import OpDef, Sample

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


# x, kernel, outputs, strides, dilations, low and high pads, groups (opset/conv.py): for
# tiles, channels in whole chunks; more than one tile, parts of one, pieces of a step.
CONVOLUTIONS = ("conv", "conv_transpose", "conv_grad_input", "conv_grad_kernel")
TILED = (
    ((2, 7, 6, 8), (3, 3), 16, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((1, 9, 40), (2,), 136, (2,), (1,), (1, 0), 1),
    ((1, 3, 4, 5, 16), (2, 1, 3), 8, (1, 2, 1), (1, 1, 2), (0, 1, 1, 1, 0, 2), 1),
    ((2, 9, 8, 8), (3, 2), 72, (2, 1), (2, 3), (0, 3, 1, 2), 1),
    ((3, 8, 9, 24), (1, 1), 8, (1, 1), (1, 1), (0, 0, 0, 0), 1),
)


def tiled_samples(op: OpDef, dtype: str) -> Iterator[Sample]:
    """Samples of a convolution that conv_tiled.cuh takes."""
    import numpy as np

    return op.samples(np.random.default_rng(5), dtype, TILED)


# Pointwise ops whose kernels for long arrays, 16 bytes at once, are compiled ahead too:
# what these do to registers, others do as well.
PACKED = ("add", "where", "relu", "gelu", "tanh_grad", "power", "cast")
LONG = 1 << 16


def packed_samples(op: OpDef, dtype: str) -> Iterator[Sample]:
    """The first sample of an op that is not of scalars, made long."""
    import numpy as np

    from fastnn.opset._opdef import Sample
    from fastnn.selftest.cases import samples

    for sample in samples(op, dtype):
        shapes = {a.shape for a in sample.inputs}
        if len(shapes) == 1 and sample.inputs[0].size > 1:
            long = tuple(np.resize(a, LONG) for a in sample.inputs)
            yield Sample(long, sample.attrs)
            return


def all_samples() -> Iterator[tuple[str, str, Sample]]:
    """(op, dtype, sample) of every op with a rule; 16-bit floats take those of float32.

    Convolutions come with those that tiles take, exactly and rounded.
    """
    import numpy as np

    from fastnn import config
    from fastnn.backends.cuda import rules
    from fastnn.backends.cuda.rules import conv_ways
    from fastnn.opset import all_ops
    from fastnn.selftest.cases import DTYPES, narrowed, samples

    def of(op: OpDef, dtype: str, make: Callable) -> Iterator[tuple[str, str, Sample]]:
        given = list(make(op, "float32" if dtype in HALVES else dtype))
        if dtype in HALVES:
            floats = [s for s in given if s.inputs and s.inputs[0].dtype == np.float32]
            given = [narrowed(s, dtype) for s in given] if floats else []
        return ((op.name, dtype, sample) for sample in given)

    before = config.float32_matmul_precision()
    for name, op in all_ops().items():
        if rules.find_rule(name) is None:
            continue
        for dtype in (*DTYPES, *HALVES):
            yield from of(op, dtype, samples)
            if name in PACKED:
                yield from of(op, dtype, packed_samples)
            if name not in CONVOLUTIONS or dtype == "float64":
                continue
            for precision in ("high",) if dtype in HALVES else ("high", "highest"):
                config.set_float32_matmul_precision(precision)
                with conv_ways.prefer(conv_ways.TILED):
                    yield from of(op, dtype, tiled_samples)
            config.set_float32_matmul_precision(before)


@cache
def kernels(one_each: bool = False) -> dict[str, dict[str, Launch]]:
    """By header and symbol: all specialisations, or one of each device function.

    Of pointwise ops one for each dtype: how operands lie changes how they are read, and
    all combinations of that are for those in `PACKED` alone.
    """
    found: dict[str, dict[str, Launch]] = {}
    seen: set[str] = set()
    for name, dtype, sample in all_samples():
        for task in launches_of(name, dtype, sample):
            function = task.body.split("<")[0] if one_each else task.symbol
            if task.code and not one_each and name not in PACKED:
                function = f"{name} {task.outs[0].dtype} {[x.dtype for x in task.ins]}"
            if function not in seen:
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
