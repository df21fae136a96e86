# SPDX-License-Identifier: Apache-2.0
"""save, save_weights, load_weights and to_json: the part of Model that makes files."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from fastnn import saving
from fastnn.errors import warn_user
from fastnn.serialization import deserialize_keras_object, serialize_keras_object


class SavingMixin:
    """Mixed into Model; `fastnn.saving` does the work."""

    # What `compile` and `fit` made: saved as the config of `compile`, or not at all.
    _unsaved: ClassVar[frozenset[str]] = frozenset(
        """_layers _graph_layers _compile_arguments _compile_loss _compile_metrics
        _loss_tracker _runners history""".split()
    )

    compiled: bool
    compile: Any
    _compile_arguments: dict[str, Any]

    # -- config of compile -----------------------------------------------------------

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile` as plain data; None before it."""
        if not self.compiled:
            return None
        config: dict[str, Any] = serialize_keras_object(self._compile_arguments)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with what `get_compile_config` returned: equal, new objects."""
        if not type(self).compile.__module__.startswith("fastnn."):
            warn_user(
                f"[load] {type(self).__name__} has a compile of its own and is not "
                "compiled: call compile, or define compile_from_config."
            )
            return
        self.compile(**deserialize_keras_object(config))

    # -- files -----------------------------------------------------------------------

    def save(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Saves the model as a `.keras` (or `.h5`) file; see `saving.save_model`."""
        saving.save_model(self, filepath, overwrite, zipped, **kwargs)

    def save_weights(
        self,
        filepath: str | os.PathLike[str],
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> None:
        """Saves weights and optimizer state as a `.weights.h5` file."""
        saving.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(
        self,
        filepath: str | os.PathLike[str],
        skip_mismatch: bool = False,
        **kwargs: Any,
    ) -> None:
        """Loads what `save_weights` or `save` wrote; see `saving.load_weights`."""
        saving.load_weights(self, filepath, skip_mismatch, **kwargs)

    def to_json(self, **kwargs: Any) -> str:
        """The config as JSON text, without weights; `model_from_json` reads it.

        Args:
            **kwargs: of `json.dumps`, such as `indent=2`.
        """
        import json

        return json.dumps(serialize_keras_object(self), **kwargs)
