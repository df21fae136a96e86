# SPDX-License-Identifier: Apache-2.0
"""Notices that an optimizer has changed, so that training is traced again."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn.autodiff._tape import state as trace_state

# Changes of any optimizer: whoever trains compares versions only when this has moved.
count = 0

_SCALARS = {str, int, float, bool, type(None)}


class ChangesMixin:
    """Gives each optimizer a version, raised by other options or kinds of rate.

    Another number as the learning rate raises nothing: it is a variable's value.
    """

    name: str
    _version = 0
    # Options that need slots, which `build` makes when they are on.
    _slot_options: ClassVar[tuple[str, ...]] = ()
    _without_slots: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        global count
        fields = self.__dict__
        old = fields.get(name)
        if name in self._without_slots and value:
            raise ValueError(
                f"[{self.name}] {name} was off when the optimizer was built, so there "
                f"are no slots for {name}={value!r}: compile with a new optimizer."
            )
        super().__setattr__(name, value)
        same = old is value or (
            type(old) is type(value) and type(old) in _SCALARS and old == value
        )
        # In a trace, what a step keeps in attributes is part of the step itself.
        if name in fields and not same and trace_state().tracer is None:
            fields["_version"] = self._version + 1
            count += 1

    def _versions(self) -> Any:
        """The version, with those of optimizers inside."""
        return self._version

    def _note_slots(self) -> None:
        """The optimizer is being built: options that are off now must stay off."""
        self._without_slots = tuple(
            name for name in self._slot_options if not getattr(self, name)
        )
