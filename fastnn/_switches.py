# SPDX-License-Identifier: Apache-2.0
"""Process-wide switches of Keras: what is printed where, and limits for quick trials.

`fastnn.config` has them under Keras's names; the functions below the line are for
fastnn's own use.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from fastnn.errors import is_own, warn_user

F = TypeVar("F", bound=Callable[..., Any])


def _limit(setting: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"[{setting}] received {value!r}; it must be a positive integer, or None "
            f"for no limit."
        )
    return value


def _limit_from_environment(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return _limit(variable, int(text) if text.isdecimal() else text) if text else None


_interactive_logging = True
_traceback_filtering = True
_flash_attention: bool | None = None
_max_epochs = _limit_from_environment("KERAS_MAX_EPOCHS")
_max_steps_per_epoch = _limit_from_environment("KERAS_MAX_STEPS_PER_EPOCH")


def enable_interactive_logging() -> None:
    """Lets progress bars, summaries and callbacks print to stdout (the default)."""
    global _interactive_logging
    _interactive_logging = True


def disable_interactive_logging() -> None:
    """Sends what would be printed to `logging.getLogger("fastnn")`, level INFO."""
    global _interactive_logging
    _interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress bars, summaries and callbacks print to stdout."""
    return _interactive_logging


def enable_traceback_filtering() -> None:
    """Leaves frames of fastnn out of the tracebacks of `fit` and `evaluate`.

    What remains is the user's code, and the innermost frame if there is no other. It
    is the default.
    """
    global _traceback_filtering
    _traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Shows whole tracebacks, for a bug report on fastnn."""
    global _traceback_filtering
    _traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """Whether frames of fastnn are left out of tracebacks."""
    return _traceback_filtering


def enable_flash_attention() -> None:
    """Allows attention without the matrix of scores, where there is a kernel for it."""
    global _flash_attention
    _flash_attention = None


def disable_flash_attention() -> None:
    """Makes attention compute the matrix of scores."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """False when it was disabled; None, as in Keras, when it may be used."""
    return _flash_attention


def enable_unsafe_deserialization() -> None:
    """Does nothing but warn: code in a config is refused either way."""
    warn_user(
        "[enable_unsafe_deserialization] has no effect: fastnn never runs code from a "
        "config. Register the function with register_keras_serializable instead."
    )


def is_nnx_enabled() -> bool:
    """False: NNX belongs to Keras on JAX."""
    return False


def max_epochs() -> int | None:
    """The most epochs that `fit` runs; None is no limit."""
    return _max_epochs


def set_max_epochs(max_epochs: int | None) -> None:
    """Limits the epochs of every `fit`, to try a script out.

    The environment variable `KERAS_MAX_EPOCHS` does it without a change of the script.

    Args:
        max_epochs: 1 or more, or None for no limit.

    Raises:
        ValueError: for anything else.
    """
    global _max_epochs
    _max_epochs = _limit("set_max_epochs", max_epochs)


def max_steps_per_epoch() -> int | None:
    """The most batches of a pass of `fit`, `evaluate` or `predict`; None: no limit."""
    return _max_steps_per_epoch


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limits the batches of every pass of `fit`, `evaluate` and `predict`.

    The environment variable `KERAS_MAX_STEPS_PER_EPOCH` does it without a change of
    the script.

    Args:
        max_steps_per_epoch: 1 or more, or None for no limit.

    Raises:
        ValueError: for anything else.
    """
    global _max_steps_per_epoch
    _max_steps_per_epoch = _limit("set_max_steps_per_epoch", max_steps_per_epoch)


_learning_phase = 0


def learning_phase() -> int:
    """1 while `set_learning_phase(1)` makes every call one of training, else 0."""
    return _learning_phase


def set_learning_phase(value: int | bool) -> None:
    """Makes calls without `training`, `predict`, `evaluate` those of training, or not.

    Raises:
        ValueError: for anything but 0 and 1.
    """
    global _learning_phase
    if value not in (0, 1):
        raise ValueError(f"[set_learning_phase] value must be 0 or 1, not {value!r}")
    _learning_phase = int(value)


# ------------------------------------------------------------------------------------


def limited_epochs(epochs: int) -> int:
    """As many of them as `fit` may run."""
    if _max_epochs is None or epochs <= _max_epochs:
        return epochs
    warn_user(f"[fit] {epochs} epochs are limited to {_max_epochs}: set_max_epochs")
    return _max_epochs


def limited_steps(where: str, steps: int | None, known: int | None) -> int | None:
    """`steps`, or the limit where there would be more; `known` is what there is."""
    limit = _max_steps_per_epoch
    wanted = known if steps is None else steps
    if limit is None or (wanted is not None and wanted <= limit):
        return steps
    warn_user(
        f"[{where}] {'all' if wanted is None else wanted} steps are limited to "
        f"{limit}: set_max_steps_per_epoch"
    )
    return limit


class LogStream:
    """Takes the place of stdout: every line with something in it is logged."""

    encoding = "utf-8"

    def write(self, text: str) -> None:
        import logging

        for line in text.splitlines():
            if line.strip():
                logging.getLogger("fastnn").info("%s", line.strip())

    def flush(self) -> None:
        """Nothing is kept back."""


_log = LogStream()


def output_stream() -> Any:
    """Where to print: stdout (None where there is none), or the log."""
    return sys.stdout if _interactive_logging else _log


def show(message: str) -> None:
    """Prints a line, or logs it."""
    stream = output_stream()
    if stream is not None:
        stream.write(f"{message}\n")


def _of_the_user(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without frames of fastnn; its innermost one if all are."""
    links = []
    while traceback is not None:
        links.append(traceback)
        traceback = traceback.tb_next
    kept = [t for t in links if not is_own(t.tb_frame)] or links[-1:]
    following = None
    for t in reversed(kept):
        following = TracebackType(following, t.tb_frame, t.tb_lasti, t.tb_lineno)
    return following


def filtered(method: F) -> F:
    """The method, whose errors come without frames of fastnn when that is wanted."""

    @wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:
            if not _traceback_filtering:
                raise
            short = _of_the_user(error.__traceback__)
            raise error.with_traceback(short)  # noqa: B904  (it is the same error)

    return wrapper  # type: ignore[return-value]
