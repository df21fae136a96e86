# SPDX-License-Identifier: Apache-2.0
"""save, save_weights, load_weights and to_json: the part of Model that makes files."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from fastnn.saving.api import (
    load_model,
    load_weights,
    model_from_json,
    save_model,
    save_weights,
)
from fastnn.serialization import serialize_keras_object

__all__ = ["load_model", "model_from_json", "save_model"]


class SavingMixin:
    """Mixed into Model; `fastnn.saving` does the work."""

    # What `compile` and `fit` made: saved as the config of `compile`, or not at all.
    _unsaved: ClassVar[frozenset[str]] = frozenset(
        """_layers _graph_layers _compile_arguments _compile_loss _compile_metrics
        _loss_tracker _runners history""".split()
    )

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model as a `.keras` (or `.h5`) file; see `saving.save_model`."""
        save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> None:
        """Saves weights and optimizer state as a `.weights.h5` file."""
        save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        skip_mismatch: bool = False,
        **kwargs: Any,
    ) -> None:
        """Loads what `save_weights` or `save` wrote; see `saving.load_weights`."""
        load_weights(self, filepath, skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The config as JSON text, without weights; `model_from_json` reads it.

        Args:
            **kwargs: of `json.dumps`, such as `indent=2`.
        """
        import json

        return json.dumps(serialize_keras_object(self), **kwargs)
