# SPDX-License-Identifier: Apache-2.0
"""`StatelessScope`: code that assigns to variables as a function of their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fastnn._registry import export
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor


class _Held(NamedTuple):
    """What a variable was before the scope."""

    variable: Variable
    array: Any
    number: int  # by which tapes know it
    watch: bool


@export("keras")
class StatelessScope:
    """Context in which variables have given values, and assignments do not last.

    Inside, a variable is the tensor that was given or assigned last, also to tapes and
    traces: gradients reach the tensors that were given. Afterwards every variable is
    what it was before.

    Args:
        state_mapping: pairs (variable, value): an array, a tensor or a variable.
        collect_losses: accepted; the scope has the list `losses` either way.
        initialize_variables: accepted; variables made inside have values at once.

    Raises:
        ValueError: for a key that is no variable, or a value of another shape.

    Example:
        >>> v = keras.Variable(1.0)
        >>> with keras.StatelessScope([(v, v + 1)]) as scope:
        ...     _ = v.assign(v * 2)
        >>> float(scope.get_current_value(v)), float(v)  # (v + 1) * 2; v is unchanged
        (4.0, 1.0)
    """

    def __init__(
        self,
        state_mapping: Iterable[tuple[Variable, Any]] | None = None,
        collect_losses: bool = False,
        initialize_variables: bool = True,
    ) -> None:
        self.collect_losses = collect_losses
        self.initialize_variables = initialize_variables
        self.losses: list[Any] = []
        self.original_scope: StatelessScope | None = None
        self._tracer: Any = None
        self._traced: Any = None
        self._held: dict[int, _Held] = {}
        self._values = {}
        for variable, value in state_mapping or ():
            if not isinstance(variable, Variable):
                raise ValueError(
                    "[StatelessScope] the mapping has pairs (Variable, value), "
                    f"received {variable!r} in the place of a variable."
                )
            self._values[id(variable)] = variable, _fitting(variable, value)

    def __enter__(self) -> StatelessScope:
        current = state()
        self.original_scope, current.stateless = current.stateless, self
        self._tracer = current.tracer
        if self._tracer is not None:
            self._traced = self._tracer.variable_values()
        for variable, tensor in self._values.values():
            self._install(variable, tensor)
        return self

    def __exit__(self, *exc: object) -> None:
        self._values = {
            key: (variable, self._present(variable, tensor))
            for key, (variable, tensor) in self._values.items()
        }
        if self._tracer is not None:
            self._tracer.set_variable_values(self._traced)
        for variable, array, number, watch in self._held.values():
            variable._array, variable._shared = array, True
            variable._id, variable._watch = number, watch
        self._held = {}
        state().stateless = self.original_scope

    def add_loss(self, loss: Any) -> None:
        """Appends to `losses`."""
        self.losses.append(loss)

    def add_update(self, update: tuple[Variable, Any]) -> None:
        """The same as assigning: (variable, value)."""
        variable, value = update
        tensor = _fitting(variable, value)
        if self._open():
            self._install(variable, tensor)
        self._values[id(variable)] = variable, tensor

    def get_current_value(self, variable: Variable) -> Tensor | None:
        """What the variable was given or assigned last; None without either."""
        found = self._values.get(id(variable))
        if found is None:
            return None
        return self._present(variable, found[1]) if self._open() else found[1]

    def takes(self, variable: Variable, tensor: Tensor) -> bool:
        """Whether an assignment belongs to the scope, which then has made it."""
        if state().tracer is not self._tracer:  # to a branch, or a trace of its own
            return False
        self.add_update((variable, tensor))
        return True

    def _open(self) -> bool:
        return state().stateless is self

    def _install(self, variable: Variable, tensor: Tensor) -> None:
        if id(variable) not in self._held:
            self._held[id(variable)] = _Held(
                variable, variable._array, variable._id, variable._watch
            )
        if self._tracer is not None:
            self._tracer.assign_variable(variable, tensor)
        else:
            variable._array, variable._shared = tensor._array, True
        variable._id, variable._watch = tensor._id, tensor._watch

    def _present(self, variable: Variable, tensor: Tensor) -> Tensor:
        """The tensor, or what a branch or a plan has put in its place."""
        if self._tracer is not None:
            now = self._tracer.read_variable(variable)
            same = now._value is self._tracer.value_of(tensor)
        else:
            now, same = variable.value, variable._array is tensor._array
        return tensor if same else now


def _fitting(variable: Variable, value: Any) -> Tensor:
    """The value as a tensor of the variable's dtype, with an id of its own."""
    if isinstance(value, Variable):
        value = value.value
    tensor = convert_to_tensor(value, variable._dtype)
    if tensor.shape != variable.shape:
        raise ValueError(
            f"[StatelessScope] the value of {variable.path} must have shape "
            f"{variable.shape}, received {tensor.shape}."
        )
    return tensor


def called_with(
    what: str, groups: dict[str, tuple[Sequence[Variable], Sequence[Any]]]
) -> StatelessScope:
    """A scope in which variables have the values that a stateless method was given.

    Args:
        what: the method, for errors.
        groups: its argument -> (the variables, the values).

    Raises:
        ValueError: when there are more values than variables, or fewer.
    """
    pairs: list[tuple[Variable, Any]] = []
    for argument, (variables, values) in groups.items():
        if len(variables) != len(values):
            raise ValueError(
                f"[{what}] {argument} must have one value for each of the "
                f"{len(variables)} variables, received {len(values)}."
            )
        pairs += zip(variables, values, strict=True)
    return StatelessScope(pairs)


def results(scope: StatelessScope, variables: Iterable[Variable]) -> list[Any]:
    """What the variables were in the end; themselves where nothing was assigned."""
    found = ((v, scope.get_current_value(v)) for v in variables)
    return [v if value is None else value for v, value in found]
