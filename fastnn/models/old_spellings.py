# SPDX-License-Identifier: Apache-2.0
"""Methods of models that Keras has dropped; each says what to write instead."""

from __future__ import annotations

from typing import Any

from fastnn.errors import warn_renamed


class OldSpellings:
    """Mixed into Model."""

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """Old spelling of `predict(x).argmax(axis=-1)`; of `> 0.5` for one output."""
        warn_renamed(
            "predict_classes(x)",
            "predict(x).argmax(-1), or (predict(x) > 0.5).astype('int32') for one "
            "sigmoid output",
        )
        outputs = self.predict(x, batch_size, verbose=verbose)  # type: ignore[attr-defined]
        if outputs.shape[-1] > 1:
            return outputs.argmax(axis=-1)
        return (outputs > 0.5).astype("int32")

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """Old spelling of `predict(x)`."""
        warn_renamed("predict_proba(x)", "predict(x)")
        return self.predict(x, batch_size, verbose=verbose)  # type: ignore[attr-defined]

    def reset_states(self) -> None:
        """Old spelling: the states of all recurrent layers are zeros again."""
        warn_renamed("reset_states()", "reset_state() of each recurrent layer")
        for layer in self._all_layers()[1:]:  # type: ignore[attr-defined]
            if getattr(layer, "stateful", False):
                layer.reset_state()

    def fit_generator(self, generator: Any, *args: Any, **kwargs: Any) -> Any:
        """Old spelling of `fit` with a generator or a PyDataset.

        Args:
            generator: yields batches.
            *args: steps_per_epoch, epochs, verbose, callbacks, validation_data,
                validation_steps, in this order.
            **kwargs: the same by name, and arguments of `fit`; those of loading
                (`workers`, `use_multiprocessing`, `max_queue_size`) are ignored:
                a PyDataset has them.
        """
        warn_renamed("fit_generator(...)", "fit(...)")
        names = "steps_per_epoch epochs verbose callbacks validation_data".split()
        given = dict(zip([*names, "validation_steps"], args, strict=False))
        return self.fit(generator, **given, **_without_loading(kwargs))  # type: ignore[attr-defined]

    def evaluate_generator(
        self, generator: Any, steps: Any = None, **kwargs: Any
    ) -> Any:
        """Old spelling of `evaluate` with a generator or a PyDataset."""
        warn_renamed("evaluate_generator(...)", "evaluate(...)")
        kwargs = {"verbose": 0, **_without_loading(kwargs)}
        return self.evaluate(generator, steps=steps, **kwargs)  # type: ignore[attr-defined]

    def predict_generator(
        self, generator: Any, steps: Any = None, **kwargs: Any
    ) -> Any:
        """Old spelling of `predict` with a generator or a PyDataset."""
        warn_renamed("predict_generator(...)", "predict(...)")
        kwargs = {"verbose": 0, **_without_loading(kwargs)}
        return self.predict(generator, steps=steps, **kwargs)  # type: ignore[attr-defined]


def _without_loading(kwargs: dict[str, Any]) -> dict[str, Any]:
    loading = ("workers", "use_multiprocessing", "max_queue_size")
    return {name: value for name, value in kwargs.items() if name not in loading}
