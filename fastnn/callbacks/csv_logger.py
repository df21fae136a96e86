# SPDX-License-Identifier: Apache-2.0
"""Writes the logs of each epoch to a csv file."""

from __future__ import annotations

import os
from typing import Any

from fastnn.callbacks.callback import Callback


class CSVLogger(Callback):
    """One row per epoch: `epoch`, then the logged values in alphabetical order.

    The file is complete after each epoch, also when the process is killed later.

    Args:
        filename: path of the file.
        separator: between the fields.
        append: keep what is there, and write no second header.
    """

    def __init__(
        self,
        filename: str | os.PathLike[str],
        separator: str = ",",
        append: bool = False,
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: Any = None

    def get_state(self) -> dict[str, Any]:
        """With the file as it is: a resumed run has no rows twice, and none lost."""
        with open(self.filename, encoding="utf-8") as file:
            return {**super().get_state(), "_text": file.read()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Writes the file as it was, and goes on there."""
        state = dict(state)
        self._file.close()
        self._file = open(self.filename, "w", encoding="utf-8")  # noqa: SIM115
        self._file.write(state.pop("_text"))
        self._file.flush()
        super().set_state(state)

    def on_train_begin(self, logs: Any = None) -> None:
        self.keys = None
        keep = self.append and os.path.exists(self.filename)
        if keep and os.path.getsize(self.filename):
            with open(self.filename, encoding="utf-8") as file:
                self.keys = file.readline().rstrip("\n").split(self.separator)[1:]
        mode = "a" if keep else "w"
        self._file = open(self.filename, mode, encoding="utf-8")  # noqa: SIM115

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        values = logs or {}
        if self.keys is None:
            self.keys = sorted(values)
            self._write(["epoch", *self.keys])
        self._write([epoch, *(values.get(key, "NA") for key in self.keys)])
        self._file.flush()

    def _write(self, fields: list[Any]) -> None:
        cells = [str(field) for field in fields]
        quoted = [
            '"' + cell.replace('"', '""') + '"'
            if any(c in cell for c in (self.separator, '"', "\n"))
            else cell
            for cell in cells
        ]
        self._file.write(self.separator.join(quoted) + "\n")

    def on_train_end(self, logs: Any = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


__all__ = ["CSVLogger"]
