# SPDX-License-Identifier: Apache-2.0
"""KerasTensor: the shape and dtype of a value that does not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fastnn import tree
from fastnn._names import uniquify
from fastnn._registry import export
from fastnn.errors import SymbolicTensorError, user_line
from fastnn.opset._dtypes import is_float

Shape = tuple[int | None, ...]

# NumPy's operators between an array and a symbolic tensor, as functions of ops.
_UFUNCS = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "true_divide": "true_divide",
    "divide": "true_divide",
    "floor_divide": "floor_divide",
    "remainder": "mod",
    "power": "power",
    "matmul": "matmul",
    "less": "less",
    "less_equal": "less_equal",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "not_equal": "not_equal",
}


class History(NamedTuple):
    """Which call made a tensor: operation, number of its call, number of its output."""

    operation: Any
    node_index: int
    tensor_index: int


def _binary(name: str, *, swapped: bool = False) -> Any:
    def method(self: KerasTensor, other: Any) -> Any:
        from fastnn import ops

        if isinstance(other, (np.ndarray, list)) and is_float(self._dtype):
            other = np.asarray(other, self._dtype)  # constants adapt, as to a Tensor
        pair = (other, self) if swapped else (self, other)
        return getattr(ops, name)(*pair)

    return method


def _unary(name: str) -> Any:
    def method(self: KerasTensor) -> Any:
        from fastnn import ops

        return getattr(ops, name)(self)

    return method


def _valueless(what: str) -> Any:
    def method(self: KerasTensor, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse(what)

    return method


@export("keras")
class KerasTensor:
    """A symbolic tensor: what `Input` gives, and what layers make of it.

    Layers, operators and the functions of `fastnn.ops` take it and record what is to be
    done; `Model(inputs, outputs)` makes a model of the record.

    Args:
        shape: sizes of the axes, None where any size will do: `(None, 784)`.
        dtype: name of the dtype.
        sparse, ragged: Keras's; only False is supported.
        record_history: whether calls on it are recorded; what they give can be no
            output of a model otherwise.
        name: by default numbered.

    Raises:
        ValueError: for sparse=True and ragged=True.
    """

    __slots__ = (
        "__weakref__",
        "_dtype",
        "_keras_history",
        "_keras_mask",
        "_shape",
        "name",
        "record_history",
    )

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: str = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse or ragged:
            raise ValueError(
                f"[KerasTensor] {'sparse' if sparse else 'ragged'}=True is not "
                "supported: symbolic tensors are dense. Make the data dense first, "
                f"with {'tf.sparse.to_dense' if sparse else '.to_tensor()'}."
            )
        self.record_history = bool(record_history)
        self._shape: Shape = tuple(shape)
        self._dtype = dtype
        self.name: str = name or uniquify("keras_tensor")
        self._keras_history: History | None = None
        self._keras_mask: Any = None

    @property
    def shape(self) -> Shape:
        return self._shape

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def ndim(self) -> int:
        return len(self._shape)

    def __repr__(self) -> str:
        return (
            f"<KerasTensor shape={self._shape}, dtype={self._dtype}, name={self.name}>"
        )

    def __reduce__(self) -> Any:
        """A copy stands alone: the layers that made the tensor do not follow it."""
        return of_spec, (self._shape, self._dtype, self.name, self.record_history)

    # -- operators -------------------------------------------------------------------

    __add__, __radd__ = _binary("add"), _binary("add", swapped=True)
    __sub__, __rsub__ = _binary("subtract"), _binary("subtract", swapped=True)
    __mul__, __rmul__ = _binary("multiply"), _binary("multiply", swapped=True)
    __truediv__ = _binary("true_divide")
    __rtruediv__ = _binary("true_divide", swapped=True)
    __floordiv__ = _binary("floor_divide")
    __rfloordiv__ = _binary("floor_divide", swapped=True)
    __mod__, __rmod__ = _binary("mod"), _binary("mod", swapped=True)
    __pow__, __rpow__ = _binary("power"), _binary("power", swapped=True)
    __matmul__, __rmatmul__ = _binary("matmul"), _binary("matmul", swapped=True)
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __ne__ = _binary("not_equal")  # == compares identity, as in Keras
    __and__, __rand__ = _binary("logical_and"), _binary("logical_and", swapped=True)
    __or__, __ror__ = _binary("logical_or"), _binary("logical_or", swapped=True)
    __xor__, __rxor__ = _binary("logical_xor"), _binary("logical_xor", swapped=True)
    __neg__, __abs__ = _unary("negative"), _unary("absolute")
    __invert__ = _unary("logical_not")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __getitem__(self, key: Any) -> Any:
        from fastnn import ops

        return ops.get_item(self, key)

    def reshape(self, newshape: Any) -> Any:
        """`ops.reshape` of this tensor."""
        from fastnn import ops

        return ops.reshape(self, newshape)

    def squeeze(self, axis: Any = None) -> Any:
        """`ops.squeeze` of this tensor."""
        from fastnn import ops

        return ops.squeeze(self, axis)

    # -- what needs a value ----------------------------------------------------------

    def _refuse(self, what: str) -> NoReturn:
        raise SymbolicTensorError(
            f"[KerasTensor] {what} at {user_line()} needs values, but {self!r} is "
            "symbolic: it has only a shape and a dtype until the model runs. Use "
            "layers, operators and fastnn.ops (not NumPy), or put the computation into "
            "the call() of a Layer of your own."
        )

    # An op of fastnn.ops that asks for the values becomes an operation of the model;
    # see fastnn/ops/_symbolic.py.
    __array__ = _valueless("np.asarray()")
    __bool__ = _valueless("a condition")
    __int__ = _valueless("int()")
    __float__ = _valueless("float()")
    __index__ = _valueless("an index")
    __len__ = _valueless("len()")
    __iter__ = _valueless("iteration")
    numpy = _valueless("numpy()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kw: Any) -> Any:
        name = _UFUNCS.get(ufunc.__name__)
        if name is None or method != "__call__" or kw or len(inputs) != 2:
            self._refuse(f"np.{ufunc.__name__}")
        first, second = inputs
        if isinstance(first, KerasTensor):
            return _binary(name)(first, second)
        return _binary(name, swapped=True)(second, first)


def of_spec(
    shape: Shape, dtype: str, name: str | None = None, record_history: bool = True
) -> KerasTensor:
    """A symbolic tensor of what a graph or a copy knows of one."""
    return KerasTensor(shape, dtype, name=name, record_history=record_history)


def symbolic_leaves(*structures: Any) -> list[KerasTensor]:
    """The symbolic tensors in structures, in order."""
    return [x for x in tree.flatten(structures) if isinstance(x, KerasTensor)]
