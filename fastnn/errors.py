# SPDX-License-Identifier: Apache-2.0
"""Exception types, and the texts of errors that many users meet."""

from __future__ import annotations

import re
import sys
import warnings
from types import FrameType


def cut(text: str, most: int = 2000) -> str:
    """A text for a message, without its middle where it is longer than `most`."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} ... {text[-most // 2 :]}"


class FastnnError(Exception):
    """Mixed into every error fastnn raises on purpose."""


class InvalidArgumentError(FastnnError):
    """Arguments do not fit each other, as TensorFlow calls it."""


class ShapeError(InvalidArgumentError, ValueError):
    """Shapes do not fit together."""


class DTypeError(InvalidArgumentError, TypeError):
    """Dtypes do not fit together, or a dtype is not supported here."""


class PlanError(FastnnError, RuntimeError):
    """A function could not be turned into a native plan."""


class BackendError(FastnnError, RuntimeError):
    """The backend has no kernel for an operation, or could not run it."""


class NotBuiltError(FastnnError, ValueError):
    """A model or layer has no weights yet because its input shape is unknown."""


class NotCompiledError(FastnnError, RuntimeError):
    """`fit`, `evaluate` or a train step was called before `compile`."""


class SymbolicTensorError(FastnnError, ValueError):
    """A symbolic tensor of a functional model was asked for its values."""


class StructureError(SymbolicTensorError, DTypeError):
    """A string, ragged or sparse tensor stands where one array of numbers must."""


class OutOfRangeError(FastnnError, IndexError):
    """A position outside of a tensor array, or a closed queue without elements."""


class CancelledError(FastnnError, RuntimeError):
    """An element was put into a queue that is closed."""


class SerializationError(FastnnError, ValueError):
    """A config cannot be written, or does not describe an object known here."""


class ModelFileError(SerializationError):
    """A model or weights file that cannot be read, with the place in it.

    Args:
        path: the file.
        problem: what is wrong there, and what to do.
        where: archive member, HDF5 path or place in the config; empty for the file.

    Attributes:
        failures: (place, problem) of each object that failed, where several did.
    """

    def __init__(self, path: object, problem: str, where: str = "") -> None:
        self.path = str(path)
        self.where = where
        self.failures: list[tuple[str, str]] = []
        place = f"{self.path}: {cut(where)}" if where else self.path
        super().__init__(f"[load] {place}: {cut(problem, 10_000)}")


class ModelFileMissingError(ModelFileError, FileNotFoundError):
    """There is no such file."""


NOT_COMPILED = """[{method}] call `compile` before `{method}`.

    model.{method}(x, y)                          # wrong: no loss, no optimizer

    model.compile(optimizer="sgd", loss="mse")    # right
    model.{method}(x, y)

`compile` is where the model learns which loss to lower, and how to change its weights
for that."""

NOT_BUILT = """[{method}] {name} has no weights yet: its input shape is unknown.

    model = Sequential([Dense(10)])
    model.{method}()                              # wrong: how many inputs?

    model = Sequential([Input((784,)), Dense(10)])    # right: shape without the batch
    model.{method}()

`model.build((None, 784))`, or calling the model on data once, does it as well."""

EMBEDDING_INDEX = """[Embedding] layer {layer}: {index} at position {place} of the \
input is out of range for input_dim={rows}: indices must be in 0 .. {last}.
Give the layer input_dim=largest index + 1, or clip the indices first."""

LOSS_SHAPES = """[{name}] y_true and y_pred must have the same shape.
Received y_true {y_true} and y_pred {y_pred}.

    model(x)                   # y_pred: {y_pred}
    y                          # y_true: {y_true}   wrong

    {fix}

Broadcasting the two would compare each label with each prediction, so the loss would go
down without the model learning anything."""

SPARSE_LABELS = """[{name}] labels must be class indices, shape {expected} or {column}.
Received y_true {y_true} with y_pred {y_pred}.

    loss="sparse_categorical_crossentropy"   # one integer per row: 3
    loss="categorical_crossentropy"          # one row of probabilities: [0, 0, 0, 1]

{fix}"""

_OUT_OF_RANGE = re.compile(
    r"\[take\] (index -?\d+) at position (\(.*\)) is out of range for .* size (\d+)$"
)


def out_of_table(error: Exception, tables: dict[str, int]) -> Exception:
    """The error of an index, named after the Embedding whose table it left.

    Args:
        error: any error; others than that of `take` are returned as they are.
        tables: number of rows, by the name of the layer.
    """
    found = _OUT_OF_RANGE.match(str(error))
    if found is None:
        return error
    index, place, rows = found.groups()
    names = " or ".join(f"'{name}'" for name, n in tables.items() if n == int(rows))
    if not names:
        return error
    message = EMBEDDING_INDEX.format(
        layer=names, index=index, place=place, rows=rows, last=int(rows) - 1
    )
    return type(error)(message)


_own_files: dict[str, bool] = {}


def is_own(frame: FrameType) -> bool:
    """Whether a frame belongs to fastnn, or to the import of a module of it."""
    file = frame.f_code.co_filename
    own = _own_files.get(file)
    if own is None:
        name = frame.f_globals.get("__name__", "")
        own = name.startswith(("fastnn.", "importlib")) or name == "fastnn"
        if not file.startswith("<"):  # code from strings shares its file names
            _own_files[file] = own
    return own


def user_line() -> str:
    """`file:line` of the innermost frame outside fastnn.

    NumPy's own are passed over: it asks a tensor for values because the user calls it.
    """
    frame: FrameType | None = sys._getframe(1)
    own = _own_files  # asked here: a trace asks for the line of every op
    while frame is not None and (
        own.get(frame.f_code.co_filename)
        or is_own(frame)
        or frame.f_globals.get("__name__", "").startswith("numpy.")
    ):
        frame = frame.f_back
    if frame is None:
        return "<unknown>"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the user's line: the innermost outside fastnn."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back and is_own(frame):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def warn_renamed(old: str, new: str) -> None:
    """Warns that `old` is the spelling of an earlier Keras, at the user's line."""
    warn_user(f"{old} is an old spelling: write {new}.", FutureWarning)
