# SPDX-License-Identifier: Apache-2.0
"""Convolutions by cuDNN, where it is installed.

By its graph API (cudnn_graph.h), which the package cudnn-frontend wraps: eight
functions by ctypes need no other package than cuDNN itself, which is there where torch
or JAX is. The library ranks its engines without trying them, so the choice is the same
every time; those whose sums come in any order, or round more than was allowed, are not
taken.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from contextlib import suppress
from ctypes import byref, c_char_p, c_float, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.backends.cuda.launches import dense_strides
from fastnn.backends.cuda.libraries import Library
from fastnn.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fastnn.backends.cuda.launches import Convolution, Operand
    from fastnn.backends.cuda.protocol import Memory

SONAME = "libcudnn.so.9"

# cudnn_graph.h of cuDNN 9; tests compare them with the header. Kinds of descriptors,
CONVOLUTION, ENGINE, ENGINE_CONFIG, HEURISTICS, PLAN = 1, 2, 3, 4, 5
FORWARD, FILTER_GRADIENT, INPUT_GRADIENT, GRAPH, PACK, TENSOR = 10, 11, 12, 15, 16, 17
# types of attributes,
HANDLE, DATA_TYPE, INT64, FLOAT, POINTER, MODE, RANKING = 0, 1, 3, 4, 6, 7, 8
NOTE, DESCRIPTOR = 11, 15
C_TYPES: dict[int, Any] = {
    **dict.fromkeys((HANDLE, POINTER, DESCRIPTOR), c_void_p),
    **dict.fromkeys((DATA_TYPE, MODE, RANKING, NOTE), c_int),
    INT64: c_int64,
    FLOAT: c_float,
}
# values.
DATA_TYPES = {"float32": 0, "float16": 2, "bfloat16": 9}
CROSS_CORRELATION = 1
RANKINGS = (3, 2)  # by a model of the device; what is always there
# Numerical notes of an engine. Winograd's and Fourier's transforms lose digits.
TENSOR_CORES, DOWN_CONVERTS, NARROW_SUMS, FOURIER, ANY_ORDER = 0, 1, 2, 3, 4
WINOGRAD = (5, 6, 7, 8)
NOTES = 10
NEVER = frozenset((DOWN_CONVERTS, NARROW_SUMS, FOURIER, ANY_ORDER, *WINOGRAD))
ENGINES = 256  # that are looked at
MOST_WORKSPACE = 1 << 30
ALIGNED = 16  # bytes; what its fast kernels ask for


class Side(NamedTuple):
    """Attributes of an operation: its factors alpha and beta, the convolution, and the
    places of x, w and y.
    """

    kind: int
    alpha: int
    convolution: int
    x: int
    w: int
    y: int


# By what is written.
SIDES = {
    "y": Side(FORWARD, 700, 702, 704, 703, 705),
    "x": Side(INPUT_GRADIENT, 706, 708, 710, 709, 711),
    "w": Side(FILTER_GRADIENT, 712, 714, 716, 715, 717),
}

SIGNATURES: dict[str, list[Any]] = {
    "Create": [c_void_p],
    "SetStream": [c_void_p, c_void_p],
    "BackendCreateDescriptor": [c_int, c_void_p],
    "BackendDestroyDescriptor": [c_void_p],
    "BackendSetAttribute": [c_void_p, c_int, c_int, c_int64, c_void_p],
    "BackendGetAttribute": [c_void_p, c_int, c_int, c_int64, c_void_p, c_void_p],
    "BackendFinalize": [c_void_p],
    "BackendExecute": [c_void_p, c_void_p, c_void_p],
}


@cache
def load() -> Any:
    """The library: of the package nvidia-cudnn-cu13, or of the system.

    Raises:
        BackendError: there is none.
    """
    try:
        with suppress(ImportError, RuntimeError):  # else where the system looks
            # CuPy's way to find what pip has installed; its error is a RuntimeError.
            import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cudnn")
        return ctypes.CDLL(SONAME)
    except OSError as error:
        raise BackendError(
            f"[cuda] cuDNN cannot be loaded ({error}): pip install nvidia-cudnn-cu13 "
            f"brings it; FASTNN_CUDNN=0 does without"
        ) from error


def installed() -> bool:
    """Whether there is a library, of a kind that can be used."""
    try:
        load()
    except BackendError:
        return False
    return True


class Made:
    """A descriptor, destroyed when nobody holds it, but not at the end of the process,
    when the driver may be gone. `parts` live as long.
    """

    def __init__(self, lib: Any, parts: Sequence[Made]) -> None:
        self._destroy = lib.cudnnBackendDestroyDescriptor
        self._parts = parts
        self.at = c_void_p()

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if self.at and not ending():
            self._destroy(self.at)


class Dnn(Library):
    """cuDNN for the current device.

    Args:
        lib: the loaded library.
        allocate: gives memory, for workspaces.

    Raises:
        BackendError: the library does not start.
    """

    prefix = "cudnn"

    def __init__(self, lib: Any, allocate: Callable[[int], Memory]) -> None:
        super().__init__(lib)
        for name, types in SIGNATURES.items():
            getattr(lib, f"cudnn{name}").argtypes = types
        self._allocate = allocate
        self._workspace: Memory | None = None  # of the largest plan
        # Wherever data lie. They stay: graphs that were captured launch their code.
        self._plans: dict[Convolution, tuple[Made, int]] = {}
        self._turn = threading.Lock()
        self._handle = self._started()

    def _started(self) -> c_void_p:
        handle = c_void_p()
        self._check("Create", byref(handle))
        return handle

    def _said(self, kind: str, status: int) -> str:
        if kind == "Name":
            self._lib.cudnnGetErrorString.restype = c_char_p
            name: bytes = self._lib.cudnnGetErrorString(status)
            return name.decode()
        text = ctypes.create_string_buffer(500)
        self._lib.cudnnGetLastErrorString(text, c_size_t(len(text)))
        return text.value.decode(errors="replace").strip() or "it says no more"

    def prepare(self, conv: Convolution) -> Callable[[int], None]:
        """What puts the convolution on a stream, which may be one that is captured.

        Raises:
            BackendError: the library has no engine that computes it exactly enough.
        """
        ends = conv.x, conv.w, conv.y
        x, w, y = (end._replace(address=0) for end in ends)
        key = conv._replace(x=x, w=w, y=y)
        if key not in self._plans:
            self._plans[key] = self._plan(key)
        plan, nbytes = self._plans[key]
        if self._workspace is None or self._workspace.nbytes < nbytes:
            self._workspace = self._allocate(nbytes)
        memory = self._workspace
        pack = self._made(
            PACK,
            (1000, INT64, range(1, 4)),
            (1001, POINTER, [x.address for x in ends]),
            (1003, POINTER, [memory.address]),
        )

        def run(stream: int, _kept: Any = memory) -> None:
            with self._turn:  # the stream is the handle's until the work is there
                self._check("SetStream", self._handle, stream)
                self._check("BackendExecute", self._handle, plan.at, pack.at)

        return run

    def _plan(self, conv: Convolution) -> tuple[Made, int]:
        """The best plan, and the bytes of its workspace."""
        graph = self._graph(conv)
        exact = conv.x.dtype == "float32" and not conv.rounded
        refused = NEVER | ({TENSOR_CORES} if exact else set())
        for ranking in RANKINGS:
            for config in self._engines(graph, ranking):
                if refused & set(self._notes(config)):
                    continue
                try:
                    plan = self._made(
                        PLAN, (401, DESCRIPTOR, [config]), *self._target(PLAN)
                    )
                except BackendError:
                    continue  # ranked, but not for these sizes
                (nbytes,) = self._got(plan, 402, INT64, 1)
                if nbytes <= MOST_WORKSPACE:
                    return plan, nbytes
        raise BackendError(
            f"[cuda] cuDNN has no engine for {conv}: FASTNN_CUDNN=0 does without"
        )

    def _target(self, kind: int) -> list[tuple[int, int, Sequence[Any]]]:
        """Attributes that say for which device a plan or a graph is."""
        attribute = {GRAPH: 800, PLAN: 400}.get(kind)
        if attribute is None:
            return []
        return [(attribute, HANDLE, [self._handle.value])]

    def _graph(self, conv: Convolution) -> Made:
        side = SIDES[conv.written]
        x, w, y = (
            self._tensor(end, i) for i, end in enumerate((conv.x, conv.w, conv.y), 1)
        )
        window = self._made(
            CONVOLUTION,
            (100, DATA_TYPE, [DATA_TYPES["float32"]]),
            (101, MODE, [CROSS_CORRELATION]),
            (102, INT64, conv.dilations),
            (103, INT64, conv.strides),
            (104, INT64, conv.after),
            (105, INT64, conv.before),
            (106, INT64, [len(conv.strides)]),
        )
        operation = self._made(
            side.kind,
            (side.alpha, FLOAT, [1.0]),
            (side.alpha + 1, FLOAT, [0.0]),
            (side.convolution, DESCRIPTOR, [window]),
            (side.x, DESCRIPTOR, [x]),
            (side.w, DESCRIPTOR, [w]),
            (side.y, DESCRIPTOR, [y]),
        )
        return self._made(GRAPH, *self._target(GRAPH), (801, DESCRIPTOR, [operation]))

    def _tensor(self, x: Operand, name: int) -> Made:
        """Sizes and strides as cuDNN orders them: channels are the second axis; of
        filters, outputs and inputs are the first two.
        """
        first, *places, channels = range(len(x.shape))
        order = (first, channels, *places)
        strides = dense_strides(x.shape)
        return self._made(
            TENSOR,
            (900, INT64, [ALIGNED]),
            (901, DATA_TYPE, [DATA_TYPES[x.dtype]]),
            (902, INT64, [x.shape[i] for i in order]),
            (903, INT64, [strides[i] for i in order]),
            (906, INT64, [name]),
        )

    def _engines(self, graph: Made, ranking: int) -> Iterator[Made]:
        """Configurations of engines for a graph, the best first."""
        try:
            ranked = self._made(
                HEURISTICS,
                (200, RANKING, [ranking]),
                (201, DESCRIPTOR, [graph]),
                *self._target(HEURISTICS),
            )
        except BackendError:
            return
        found = [self._new(ENGINE_CONFIG, [ranked]) for _ in range(ENGINES)]
        count = self._fill(ranked, 202, found)
        yield from found[:count]

    def _notes(self, config: Made) -> list[int]:
        engine = self._new(ENGINE, [config])
        self._fill(config, 300, [engine])
        return self._got(engine, 1303, NOTE, NOTES)

    # -- descriptors -----------------------------------------------------------------

    def _new(self, kind: int, parts: Sequence[Made]) -> Made:
        made = Made(self._lib, parts)
        self._check("BackendCreateDescriptor", kind, byref(made.at))
        return made

    def _made(self, kind: int, *attributes: tuple[int, int, Sequence[Any]]) -> Made:
        """A descriptor with these attributes, final."""
        parts = [
            x for _, _, values in attributes for x in values if isinstance(x, Made)
        ]
        made = self._new(kind, parts)
        for name, of, values in attributes:
            given = [x.at.value if isinstance(x, Made) else x for x in values]
            array = (C_TYPES[of] * len(given))(*given)
            self._check("BackendSetAttribute", made.at, name, of, len(given), array)
        self._check("BackendFinalize", made.at)
        return made

    def _got(self, made: Made, name: int, of: int, most: int) -> list[Any]:
        """Values of an attribute."""
        array, count = (C_TYPES[of] * most)(), c_int64()
        given = made.at, name, of, most, byref(count), array
        self._check("BackendGetAttribute", *given)
        return list(array[: count.value])

    def _fill(self, made: Made, name: int, into: Sequence[Made]) -> int:
        """Descriptors of an attribute, into such that are there; how many it were."""
        array = (c_void_p * len(into))(*(x.at.value for x in into))
        count = c_int64()
        given = made.at, name, DESCRIPTOR, len(into), byref(count), array
        self._check("BackendGetAttribute", *given)
        return min(count.value, len(into))
