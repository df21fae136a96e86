# SPDX-License-Identifier: Apache-2.0
"""PyDataset: batches by number, made by threads or processes while a model trains."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from fastnn._registry import export


@export("keras.utils")
class PyDataset:
    """Base class of data sets that compute a batch when asked for it.

    Implement `__getitem__(index)`, which returns a batch (x,), (x, y) or
    (x, y, sample_weight), and `__len__()`, the number of batches; or the property
    `num_batches`, None for a data set without end.

    Args:
        workers: threads or processes that make batches ahead of time; 0: batches are
            made by the thread that trains, when it needs them.
        use_multiprocessing: processes instead of threads; the data set is pickled.
        max_queue_size: how many batches may wait.

    Example:
        >>> class Files(keras.utils.PyDataset):
        ...     def __init__(self, names, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.names = names
        ...
        ...     def __len__(self):
        ...         return len(self.names)
        ...
        ...     def __getitem__(self, index):
        ...         with np.load(self.names[index]) as batch:
        ...             return batch["x"], batch["y"]
        >>> len(Files(["a.npz", "b.npz"], workers=2))
        2
    """

    # Also for subclasses that do not call __init__.
    workers = 1
    use_multiprocessing = False
    max_queue_size = 10

    def __init__(
        self,
        workers: int = 1,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """The batch with this number, from 0 on."""
        raise NotImplementedError(
            f"[{type(self).__name__}] implement __getitem__(self, index): it returns "
            "a batch."
        )

    def __iter__(self) -> Iterator[Any]:
        number = self.num_batches
        return (self[i] for i in (count() if number is None else range(number)))

    @property
    def num_batches(self) -> int | None:
        """How many batches there are, None when they never end.

        Raises:
            NotImplementedError: when the class has no `__len__`.
        """
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(
            f"[{type(self).__name__}] implement __len__(self), the number of batches, "
            "or the property num_batches."
        )

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""


Sequence = PyDataset  # its name in Keras 2

__all__ = ["PyDataset", "Sequence"]
