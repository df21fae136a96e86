# SPDX-License-Identifier: Apache-2.0
"""Process-wide settings: dtypes, fuzz factor, image layout, backend, threads."""

from __future__ import annotations

import os
from _thread import _local
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn._switches import disable_flash_attention as disable_flash_attention
from fastnn._switches import disable_interactive_logging as disable_interactive_logging
from fastnn._switches import disable_traceback_filtering as disable_traceback_filtering
from fastnn._switches import enable_flash_attention as enable_flash_attention
from fastnn._switches import enable_interactive_logging as enable_interactive_logging
from fastnn._switches import enable_traceback_filtering as enable_traceback_filtering
from fastnn._switches import (
    enable_unsafe_deserialization as enable_unsafe_deserialization,
)
from fastnn._switches import is_flash_attention_enabled as is_flash_attention_enabled
from fastnn._switches import (
    is_interactive_logging_enabled as is_interactive_logging_enabled,
)
from fastnn._switches import is_nnx_enabled as is_nnx_enabled
from fastnn._switches import (
    is_traceback_filtering_enabled as is_traceback_filtering_enabled,
)
from fastnn._switches import max_epochs as max_epochs
from fastnn._switches import max_steps_per_epoch as max_steps_per_epoch
from fastnn._switches import set_max_epochs as set_max_epochs
from fastnn._switches import set_max_steps_per_epoch as set_max_steps_per_epoch

_FLOAT_TYPES = ("float16", "bfloat16", "float32", "float64")
_IMAGE_FORMATS = ("channels_last", "channels_first")
_BACKENDS = ("cpu", "reference", "cuda")


def _one_of(setting: str, value: object, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(
            f"[{setting}] received {value!r}; it must be one of "
            f"{', '.join(repr(name) for name in allowed)}."
        )
    return str(value)


def _backend_from_environment() -> str:
    name = os.environ.get("FASTNN_BACKEND", "cpu")
    return _one_of("FASTNN_BACKEND", name, _BACKENDS)


_floatx = "float32"
_dtype_policy: Any = None  # a DTypePolicy; None for that of floatx()
_epsilon = 1e-7
_image_data_format = "channels_last"
_backend = _backend_from_environment()
CPU = -1  # as a number of a device


class _Scope(_local):
    """The device that a context of this thread names, by number."""

    place: int | None = None


_scope = _Scope()


def floatx() -> str:
    """Default float dtype of variables and of tensors made from Python floats."""
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the default float dtype, and the policy of layers that have none.

    Args:
        value: `"float16"`, `"bfloat16"`, `"float32"` or `"float64"`.

    Raises:
        ValueError: for any other name.
    """
    global _floatx
    _floatx = _one_of("set_floatx", value, _FLOAT_TYPES)


def dtype_policy() -> Any:
    """The `DTypePolicy` of layers that are made without one.

    That of `floatx()` until `set_dtype_policy` was called.
    """
    from fastnn.dtype_policies import DTypePolicy

    return DTypePolicy(_floatx) if _dtype_policy is None else _dtype_policy


def set_dtype_policy(policy: Any) -> None:
    """Sets what layers made from now on store and compute in.

    Args:
        policy: a `DTypePolicy`, its name (`"mixed_bfloat16"`, `"float64"`) or config.

    Raises:
        ValueError: for any other name.
    """
    from fastnn import dtype_policies

    global _dtype_policy
    _dtype_policy = dtype_policies.get(policy)


def epsilon() -> float:
    """Fuzz factor that keeps divisions and logarithms finite (1e-7 by default)."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the fuzz factor used by losses, metrics and optimizers made later."""
    global _epsilon
    number = float(value)
    if not number > 0.0:
        raise ValueError(f"[set_epsilon] received {value!r}; it must be positive.")
    _epsilon = number


def image_data_format() -> str:
    """Default axis order of images, `"channels_last"` unless it was changed."""
    return _image_data_format


def set_image_data_format(data_format: str) -> None:
    """Sets the default axis order of images.

    Kernels run on `"channels_last"`; `"channels_first"` is accepted as a setting and
    costs transposes in the layers that honour it.
    """
    global _image_data_format
    _image_data_format = _one_of("set_image_data_format", data_format, _IMAGE_FORMATS)


def backend() -> str:
    """Name of the backend that runs operations; a context of `device` goes first."""
    if _scope.place is None or _backend == "reference":
        return _backend
    return "cpu" if _scope.place == CPU else "cuda"


def device_scope() -> int | None:
    """Number of the device that the innermost context names, CPU (-1), or None."""
    return _scope.place


def where() -> tuple[str, int | None]:
    """What plans are made for: the backend, and the device of the context."""
    return backend(), _scope.place


def traced_under() -> tuple[str, float, tuple[str, int | None]]:
    """The settings a trace takes as constants: a program is kept under them."""
    return floatx(), epsilon(), where()


@contextmanager
def device_scoped(place: int) -> Iterator[None]:
    """A context of this thread that names a device by its number, or the CPU."""
    before, _scope.place = _scope.place, place
    try:
        yield
    finally:
        _scope.place = before


def set_backend(backend: str) -> None:
    """Chooses the backend that runs operations from now on.

    Args:
        backend: `"cpu"` (compiled kernels), `"cuda"` (plans of `fit`, `evaluate`,
            `predict` and `function` on the first GPU, through CuPy; eager ops run on it
            within `fastnn.device("gpu:0")`) or `"reference"` (readable NumPy, slow, the
            oracle of the tests). The environment variable `FASTNN_BACKEND` sets the
            initial choice.

    Raises:
        ValueError: for any other name.
    """
    global _backend
    _backend = _one_of("set_backend", backend, _BACKENDS)


_MATMUL_PRECISIONS = ("highest", "high")
_float32_matmul_precision = "highest"


def float32_matmul_precision() -> str:
    """What products of float32 matrices are on a GPU: "highest" or "high"."""
    return _float32_matmul_precision


def set_float32_matmul_precision(precision: str) -> None:
    """Sets what a GPU may make of products and convolutions of float32 from now on.

    Plans that exist keep what they were made with; the CPU computes in float32 always.

    Args:
        precision: `"highest"` (float32, the default) or `"high"`: factors rounded to
            TF32, 10 bits of mantissa, which tensor cores multiply many times faster.

    Raises:
        ValueError: for any other name.
    """
    global _float32_matmul_precision
    _float32_matmul_precision = _one_of(
        "set_float32_matmul_precision", precision, _MATMUL_PRECISIONS
    )


def get_num_threads() -> int:
    """Threads that kernels and plans may use, the calling one included.

    Until it is set: `FASTNN_NUM_THREADS`, else the processors that the affinity mask
    and the CPU quota of the control group leave to this process.
    """
    from fastnn import _core

    return _core.num_threads()


def set_num_threads(count: int) -> None:
    """Sets how many threads kernels and plans use from now on.

    Results do not depend on it, to the last bit. A model that was already compiled uses
    at most as many as there were when its plan was built.

    Args:
        count: 1 or more. Processes that train in parallel on one machine (joblib,
            multiprocessing) should set their share of the processors.

    Raises:
        ValueError: for anything but a positive number.
    """
    from fastnn import _core

    if isinstance(count, bool) or not hasattr(count, "__index__"):
        raise ValueError(f"[set_num_threads] received {count!r}; it must be a number.")
    _core.set_num_threads(count)


def kept_memory_limit() -> int:
    """How many bytes of results that died are kept for the next ones, at most."""
    from fastnn import _core

    return _core.buffer_limit()


def set_kept_memory_limit(size: int) -> None:
    """Sets how much memory of eager results that died is kept for the next ones.

    The system takes about as long to hand out memory as a kernel needs to fill it.
    What is kept also never exceeds what was lately in use at once (and 32 MB); the
    limit is an eighth of the machine's memory until it is set.

    Args:
        size: bytes; 0 keeps nothing.

    Raises:
        ValueError: for anything but a number that is not negative.
    """
    from fastnn import _core

    number = isinstance(size, int) and not isinstance(size, bool)
    if not number or size < 0:
        raise ValueError(
            f"[set_kept_memory_limit] received {size!r}; it must be a number of bytes, "
            f"0 or more."
        )
    _core.set_buffer_limit(size)


def free_kept_memory() -> int:
    """Gives the memory kept for the next results back to the system.

    Returns:
        The number of bytes.
    """
    from fastnn import _core

    return _core.clear_buffers()
