# SPDX-License-Identifier: Apache-2.0
"""Parts of variables that can be assigned: `v[:, 2].assign([0.0, 1.0])`."""

from __future__ import annotations

from typing import Any

from fastnn.autodiff.indexing import getitem
from fastnn.autodiff.scatters import with_part
from fastnn.autodiff.tensor import Tensor, Variable


class VariableSlice(Tensor):
    """What a key reads from a variable: a tensor that knows where it came from."""

    def __init__(self, variable: Variable, key: Any) -> None:
        read = getitem(variable.value, key)
        super().__init__(read._array, read._value, read._shape, read._dtype)
        self._id, self._watch = read._id, read._watch
        self._source = variable, key

    def assign(self, value: Any) -> Variable:
        """Replaces this part of the variable.

        Args:
            value: tensor of the same dtype, array or number; broadcasts to the part.

        Returns:
            The variable.

        Raises:
            ShapeError: when value does not fit. DTypeError: for a tensor of another
                dtype.
        """
        variable, key = self._source
        return variable.assign(
            with_part(variable, key, variable._fitting(value, "assign"))
        )

    def assign_add(self, delta: Any) -> Variable:
        """Adds to this part of the variable."""
        variable, key = self._source
        return self.assign(getitem(variable, key) + delta)

    def assign_sub(self, delta: Any) -> Variable:
        """Subtracts from this part of the variable."""
        variable, key = self._source
        return self.assign(getitem(variable, key) - delta)

    def __reduce__(self) -> Any:
        return Tensor, (self.numpy(),)
