# SPDX-License-Identifier: Apache-2.0
"""save, save_weights, load_weights and to_json: the part of Model that makes files."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from fastnn import saving, tree
from fastnn._allowance import check_count
from fastnn.errors import warn_user
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

_OF_OUTPUTS = ("loss", "metrics", "weighted_metrics")
_FORMATS = """[export] format={format!r} is not written here, "onnx" is.

    model.export("{name}.onnx", format="onnx")     # for ONNX Runtime and others
    model.save("{name}.keras")                     # then, in a program with Keras:
    keras.models.load_model("{name}.keras").export("{name}", format={format!r})"""


class SavingMixin:
    """Mixed into Model; `fastnn.saving` does the work."""

    # What `compile` and `fit` made: saved as the config of `compile`, or not at all.
    _unsaved: ClassVar[frozenset[str]] = frozenset(
        """_layers _graph_layers _compile_arguments _compile_loss _compile_metrics
        _loss_tracker _runners history""".split()
    )

    name: str
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
        count = sum(len(tree.flatten(config.get(key))) for key in _OF_OUTPUTS)
        check_count(count, "what compile makes of losses and metrics")
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

    def export(
        self,
        filepath: str | os.PathLike[str],
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Writes the model for programs that only predict.

        Args:
            filepath: where.
            format: `"onnx"`, which ONNX Runtime and others run. The
                other formats of Keras are those of the libraries whose graphs they
                hold; `model.save("model.keras")` and Keras make them.
            verbose: whether to print where the file is.
            input_signature: shapes and dtypes of the inputs, where the model leaves
                them open.
            **kwargs: of `fastnn.onnx.export_model`, such as `opset_version`.

        Raises:
            ValueError: for other formats.
        """
        if format != "onnx":
            raise ValueError(_FORMATS.format(format=format, name=self.name))
        from fastnn._lazy import load_module

        if input_signature is not None:
            kwargs["input_signature"] = input_signature
        load_module("fastnn.onnx").export_model(
            self, filepath, verbose=verbose, **kwargs
        )

    def to_json(self, **kwargs: Any) -> str:
        """The config as JSON text, without weights; `model_from_json` reads it.

        Args:
            **kwargs: of `json.dumps`, such as `indent=2`.
        """
        import json

        return json.dumps(serialize_keras_object(self), **kwargs)
