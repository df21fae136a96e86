# SPDX-License-Identifier: Apache-2.0
"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.callbacks.callback import Callback


class LambdaCallback(Callback):
    """Calls the given functions at the hooks of the same names.

    Args:
        on_epoch_begin, on_epoch_end: `f(epoch, logs)`.
        on_train_begin, on_train_end: `f(logs)`.
        on_train_batch_begin, on_train_batch_end: `f(batch, logs)`.
        **kwargs: any other hook of Callback by its name.

    Example:
        >>> show = keras.callbacks.LambdaCallback(on_epoch_end=lambda k, logs: print(k))
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=2, verbose=0, callbacks=[show])
        0
        1
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        super().__init__()
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise ValueError(f"[LambdaCallback] there is no hook called {name!r}.")
            if function is not None:
                setattr(self, name, function)


__all__ = ["LambdaCallback"]
