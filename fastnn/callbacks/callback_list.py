# SPDX-License-Identifier: Apache-2.0
"""Several callbacks behind the interface of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastnn.callbacks.callback import Callback, overrides
from fastnn.callbacks.history import History
from fastnn.errors import warn_user

_TRAIN = (
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_batch_begin",
    "on_batch_end",
)
_TEST = ("on_test_batch_begin", "on_test_batch_end")
_PREDICT = ("on_predict_batch_begin", "on_predict_batch_end")


class CallbackList:
    """Calls each hook of each callback in order.

    Args:
        callbacks: callbacks, or None.
        add_history: append a History unless there is one.
        add_progbar: append a ProgbarLogger unless there is one.
        model: given to every callback.
        **params: given to every callback as `params`.

    Attributes:
        has_batch_hooks: some callback must see every training batch.
        has_test_batch_hooks, has_predict_batch_hooks: the same for the other loops.
        has_throttled_hooks: some callback wants to hear about progress now and then.
    """

    def __init__(
        self,
        callbacks: Iterable[Callback] | Callback | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        if isinstance(callbacks, (Callback, type)):
            callbacks = [callbacks]  # the class is a mistake that is told below
        given: list[Any] = list(callbacks or [])
        for callback in given:
            if not isinstance(callback, Callback):
                hint = ""
                if isinstance(callback, type):
                    hint = f" Make an instance: {callback.__name__}()."
                raise TypeError(
                    "[callbacks] expected Callback objects, received "
                    f"{callback!r}.{hint}"
                )
        self.callbacks: list[Callback] = given
        if add_progbar:
            from fastnn.callbacks.progress import ProgbarLogger

            if not self._has(ProgbarLogger):
                self.callbacks.append(ProgbarLogger())
        if add_history and not self._has(History):
            self.callbacks.append(History())
        self.params = params
        self._model: Any = None
        self._sort_out()
        if params:
            self.set_params(params)
        if model is not None:
            self.set_model(model)

    def _sort_out(self) -> None:
        self.callbacks.sort(key=lambda callback: callback.runs_last)
        self._every = [c for c in self.callbacks if not c.throttled]
        self._throttled = [c for c in self.callbacks if c.throttled]
        self.has_batch_hooks = any(overrides(c, *_TRAIN) for c in self._every)
        self.has_test_batch_hooks = any(overrides(c, *_TEST) for c in self._every)
        self.has_predict_batch_hooks = any(overrides(c, *_PREDICT) for c in self._every)
        self.has_throttled_hooks = bool(self._throttled)

    def _has(self, kind: type[Callback]) -> bool:
        return any(isinstance(callback, kind) for callback in self.callbacks)

    @property
    def model(self) -> Any:
        """The model every callback knows."""
        return self._model

    def append(self, callback: Callback) -> None:
        """Adds one callback at the end."""
        self.callbacks.append(callback)
        self._sort_out()
        callback.set_params(self.params)
        if self._model is not None:
            callback.set_model(self._model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Gives `params` to every callback."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Gives the model to every callback; it gets the History as `model.history`."""
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)
            if isinstance(callback, History):
                model.history = callback

    def on_progress(self, kind: str, batch: int, logs: Any) -> None:
        """Tells throttled callbacks that `batch` is done."""
        for callback in self._throttled:
            getattr(callback, f"on_{kind}_batch_end")(batch, logs)

    def on_batch(self, kind: str, moment: str, batch: int, logs: Any) -> None:
        """Calls `on_<kind>_batch_<moment>` of callbacks that see every batch."""
        hook = f"on_{kind}_batch_{moment}"
        for callback in self._every:
            getattr(callback, hook)(batch, logs)

    def _each(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def on_train_begin(self, logs: Any = None) -> None:
        self._each("on_train_begin", logs or {})

    def on_train_end(self, logs: Any = None) -> None:
        self._each("on_train_end", logs or {})

    def on_train_abort(self, logs: Any = None) -> None:
        """Training ends by an error or Ctrl-C: all get their `on_train_end`.

        So files are closed and the best weights come back. An error of one is a
        warning, because the error that ends the training is the one to be seen.
        """
        for callback in self.callbacks:
            try:
                callback.on_train_end(logs or {})
            except Exception as error:
                warn_user(
                    f"[fit] on_train_end of {type(callback).__name__} failed after "
                    f"training was broken off: {error!r}"
                )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._each("on_epoch_begin", epoch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._each("on_epoch_end", epoch, logs or {})

    def on_test_begin(self, logs: Any = None) -> None:
        self._each("on_test_begin", logs or {})

    def on_test_end(self, logs: Any = None) -> None:
        self._each("on_test_end", logs or {})

    def on_predict_begin(self, logs: Any = None) -> None:
        self._each("on_predict_begin", logs or {})

    def on_predict_end(self, logs: Any = None) -> None:
        self._each("on_predict_end", logs or {})

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_train_batch_begin", batch, logs or {})

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_train_batch_end", batch, logs or {})

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_test_batch_begin", batch, logs or {})

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_test_batch_end", batch, logs or {})

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        self._each("on_predict_batch_begin", batch, logs or {})

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._each("on_predict_batch_end", batch, logs or {})

    on_batch_begin = on_train_batch_begin
    on_batch_end = on_train_batch_end


__all__ = ["CallbackList"]
