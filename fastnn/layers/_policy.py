# SPDX-License-Identifier: Apache-2.0
"""What a layer computes in, and what it keeps its weights in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import dtype_policies
from fastnn.autodiff._tape import state
from fastnn.dtype_policies import DTypePolicy, DTypePolicyMap


class PolicyMixin:
    """The part of Layer that knows of dtypes."""

    autocast: bool
    _path: str
    _dtype_policy: DTypePolicy
    _changed: Callable[[], None]

    @property
    def dtype_policy(self) -> DTypePolicy:
        """What the layer computes in, and what it keeps its weights in."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = dtype_policies.get(value)
        if isinstance(self._dtype_policy, DTypePolicyMap):
            self._dtype_policy.pop(self._path, None)
            self._dtype_policy[self._path] = policy
            self._changed()
        else:
            self._dtype_policy = policy

    def _policy(self) -> DTypePolicy:
        policy = self._dtype_policy
        return policy[self._path] if isinstance(policy, DTypePolicyMap) else policy

    @property
    def dtype(self) -> str:
        """Dtype of the weights; the same as `variable_dtype`."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype that float inputs and weights are cast to in calls."""
        return self._policy().compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of new float weights."""
        return self._policy().variable_dtype

    @property
    def quantization_mode(self) -> None:
        """None: fastnn does not quantize."""
        return

    def _read_weights_in_compute_dtype(self) -> tuple[Any, str | None]:
        """Begins a call; (the engine's state, its `autocast` to be set at the end)."""
        engine, policy = state(), self._policy()
        compute, outer = policy.compute_dtype, engine.autocast
        mixed = self.autocast and compute != policy.variable_dtype
        engine.autocast = compute if mixed else None
        return engine, outer
