# SPDX-License-Identifier: Apache-2.0
"""Methods of layers that Keras has dropped; each says what to write instead."""

from __future__ import annotations

from typing import Any

from fastnn.errors import warn_renamed


class OldSpellings:
    """Mixed into Layer."""

    @property
    def updates(self) -> list[Any]:
        """Old: a call that changes state assigns to variables; the list is empty."""
        warn_renamed("updates", "non_trainable_variables")
        return []

    def add_metric(
        self, value: Any, name: str | None = None, aggregation: str | None = "mean"
    ) -> None:
        """Reports the mean of a value that `call` computes, beside the loss.

        Args:
            value: a tensor, of which the mean is taken; without a name, what a metric
                returned that is an attribute of the layer.
            name: what it is called in the logs.
            aggregation: "mean"; None, for the result of a metric, is the same.

        Raises:
            ValueError: without a name, when the layer holds no metric; for another
                aggregation.
        """
        from fastnn.layers._tracking import tracked
        from fastnn.metrics import Mean, Metric

        warn_renamed(
            "add_metric(value, name)",
            "self.shown = keras.metrics.Mean(name) in __init__, and "
            "self.shown.update_state(value) in call",
        )
        if aggregation not in ("mean", None):
            raise ValueError(
                f"[add_metric] aggregation must be 'mean', received {aggregation!r}."
            )
        if name is None:
            if not tracked(self, Metric):
                raise ValueError(
                    "[add_metric] needs a name: add_metric(value, name='error')."
                )
            return  # the metric is an attribute, which has taken the value
        # Made by the first call: an attribute like the user's own metrics.
        added = vars(self).setdefault("_added_metrics", {})
        if name not in added:
            added[name] = Mean(name=name)
        added[name].update_state(value)
