# SPDX-License-Identifier: Apache-2.0
"""Keras's `keras.backend`: settings, dtypes and names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from fastnn import _switches, config
from fastnn._names import clear_session as clear_session
from fastnn._names import get_uid as get_uid
from fastnn.config import backend as backend
from fastnn.config import epsilon as epsilon
from fastnn.config import floatx as floatx
from fastnn.config import image_data_format as image_data_format
from fastnn.config import set_epsilon as set_epsilon
from fastnn.config import set_floatx as set_floatx
from fastnn.config import set_image_data_format as set_image_data_format
from fastnn.errors import warn_renamed
from fastnn.opset import _dtypes
from fastnn.symbolic.tensor import KerasTensor

# Types of Python; a number is weak and follows the dtypes beside it.
_PYTHON = {bool: "bool", int: "int32", float: None, "int": "int32", "float": None}
_WEAK = {int: 0, float: 0.0, "int": 0, "float": 0.0}


def standardize_dtype(dtype: Any) -> str:
    """Name of a dtype given by name, as a type of Python or NumPy, or None (floatx()).

    Raises:
        ValueError: for what is no dtype of a tensor.
    """
    name = dtype
    if isinstance(dtype, (str, type)):
        name = _PYTHON.get(dtype, dtype)
    if name is None:
        return config.floatx()
    name = getattr(name, "name", getattr(name, "__name__", name))
    name = str(name).rpartition(".")[2]  # torch.float32
    if name not in _dtypes.NAMES:
        raise ValueError(
            f"[standardize_dtype] {dtype!r} is no dtype of a tensor; there are "
            f"{', '.join(_dtypes.NAMES)}"
        )
    return name


def result_type(*dtypes: Any) -> str:
    """Dtype of an op over operands of these dtypes; `int` and `float` are weak.

    Floats win over integers and keep their width; floatx() without any dtype.
    """
    weak = [_WEAK[d] for d in dtypes if isinstance(d, (str, type)) and d in _WEAK]
    strong = [
        standardize_dtype(d)
        for d in dtypes
        if not (isinstance(d, (str, type)) and d in _WEAK)
    ]
    if not strong:
        floating = not weak or any(isinstance(n, float) for n in weak)
        return config.floatx() if floating else "int32"
    dtype = _dtypes.result_type(*strong, floatx=config.floatx())
    return _dtypes.beside_numbers(dtype, weak, config.floatx())


def is_float_dtype(dtype: Any) -> bool:
    """Whether the dtype is a float."""
    return _dtypes.is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Whether the dtype is an integer, signed or not; bool is none."""
    return standardize_dtype(dtype) in _dtypes.INTEGERS


def is_keras_tensor(x: Any) -> bool:
    """Whether x is a symbolic tensor."""
    return isinstance(x, KerasTensor)


# ---- old spellings -----------------------------------------------------------------

# Functions of Keras 2's backend that scripts still call, `K.square(K.transpose(t))`, by
# the name of their like in fastnn.ops. Keras 3 has none of them.
_KERAS_2 = {
    name: name
    for name in """abs all any argmax argmin binary_crossentropy cast
    categorical_crossentropy clip concatenate cos cumprod cumsum dot elu equal exp
    expand_dims eye flatten greater greater_equal hard_sigmoid less less_equal log
    logsumexp max maximum mean min minimum ndim not_equal one_hot ones ones_like
    permute_dimensions pow prod relu repeat reshape round shape sigmoid sign sin softmax
    softplus softsign sparse_categorical_crossentropy sqrt square squeeze stack std
    stop_gradient sum tanh tile transpose var zeros zeros_like""".split()
} | {"flatten": "ravel", "permute_dimensions": "transpose", "pow": "power"}
# And where the others live.
_MOVED = {
    "constant": ("fastnn.ops", "convert_to_tensor"),
    "random_normal": ("fastnn.random", "normal"),
    "random_uniform": ("fastnn.random", "uniform"),
    "truncated_normal": ("fastnn.random", "truncated_normal"),
    "variable": ("fastnn.autodiff.tensor", "Variable"),
}


def get_value(x: Any) -> Any:
    """Old spelling of `x.numpy()`: of a variable, a tensor or a number."""
    warn_renamed("get_value(x)", "x.numpy()")
    return np.asarray(x)[()]


def set_value(x: Any, value: Any) -> None:
    """Old spelling of `x.assign(value)`."""
    warn_renamed("set_value(x, value)", "x.assign(value)")
    x.assign(value)


def int_shape(x: Any) -> tuple[int | None, ...]:
    """Old spelling of `x.shape`."""
    warn_renamed("int_shape(x)", "x.shape")
    return tuple(x.shape)


def learning_phase_scope(value: int) -> AbstractContextManager[None]:
    """Old way of Dropout in `predict`: everything inside is training, or nothing."""
    warn_renamed("learning_phase_scope(1)", "model(x, training=True)")
    return _phase(value)


@contextmanager
def _phase(value: int) -> Iterator[None]:
    before = _switches.learning_phase()
    _switches.set_learning_phase(value)
    try:
        yield
    finally:
        _switches.set_learning_phase(before)


def set_learning_phase(value: int) -> None:
    """Old way of Dropout in `predict`: from now on everything is training, or not."""
    warn_renamed("set_learning_phase(value)", "model(x, training=value)")
    _switches.set_learning_phase(value)


def learning_phase() -> int:
    """Old spelling: 1 where `set_learning_phase(1)` was called, else 0."""
    warn_renamed("learning_phase()", "the argument `training` of call()")
    return _switches.learning_phase()


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        module, moved = _MOVED[name]
        return getattr(import_module(module), moved)
    if name not in _KERAS_2:
        raise AttributeError(f"module 'fastnn.backend' has no attribute {name!r}")
    from fastnn import ops

    return getattr(ops, _KERAS_2[name])
