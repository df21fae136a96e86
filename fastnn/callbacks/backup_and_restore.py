# SPDX-License-Identifier: Apache-2.0
"""Training that goes on where it was interrupted, to the last bit."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from fastnn.callbacks.callback import SaveFrequency
from fastnn.errors import ModelFileError
from fastnn.saving.training_state import Backup, write_backup

__all__ = ["BackupAndRestore"]

_NAME = "latest.weights.h5"


class BackupAndRestore(SaveFrequency):
    """Keeps a backup of the training in a folder, from which `fit` resumes.

    A run that was killed and started again gives the weights, optimizer, History and
    random numbers of one that was not, in the middle of an epoch too. The backup is one
    file, which is replaced at once: a kill at any moment leaves one that can be used.

    Data from a generator is drawn again up to the place of the interruption; one that
    depends on more than its position and the random streams of Python and NumPy cannot
    be resumed exactly.

    Args:
        backup_dir: folder of the backup, made when needed; of one run at a time.
        save_freq: "epoch", or a number of batches after which to save.
        double_checkpoint: keep the backup before the last as well, and use it when the
            last cannot be read.
        delete_checkpoint: remove the backup when training has ended as planned.

    Raises:
        ValueError: for an empty folder name, or another `save_freq`.
        ModelFileError: in `fit`, when the backup is damaged or of another model.
    """

    runs_last = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("[BackupAndRestore] backup_dir is empty: name a folder.")
        self.backup_dir = os.fspath(backup_dir)
        self._set_save_freq(save_freq, "BackupAndRestore")
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._path = os.path.join(self.backup_dir, _NAME)
        self._previous = f"{self._path}.bkp"
        self._run: Any = None

    def get_state(self) -> dict[str, Any]:
        """The count of batches; the rest are arguments."""
        return {"_batches": self._batches}

    def on_train_begin(self, logs: Any = None) -> None:
        self._run = self.model._fit_run
        self._batches = 0
        backup = self._read()
        if backup is None:
            return
        if backup.state is None:  # weights of Keras, without a place to go on from
            backup.restore(self.model)
            return
        self._run.resume(backup.state, lambda: backup.restore(self.model))

    def _read(self) -> Backup | None:
        if not os.path.exists(self._path):
            return None
        try:
            return Backup(self._path)
        except ModelFileError:
            if not os.path.exists(self._previous):
                raise
            return Backup(self._previous)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> None:
        place = (epoch + 1, 0) if batch is None else (epoch, batch + 1)
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._path):
            with suppress(FileNotFoundError):
                os.unlink(self._previous)
            os.link(self._path, self._previous)
        state = self._run.state(*place, logs)
        write_backup(self._path, self.model, state)

    def on_train_end(self, logs: Any = None) -> None:
        run, self._run = self._run, None
        if self.delete_checkpoint and run is not None and run.completed:
            for path in (self._path, self._previous):
                with suppress(FileNotFoundError):
                    os.unlink(path)
            with suppress(OSError):  # there is more in it, which is not ours
                os.rmdir(self.backup_dir)
