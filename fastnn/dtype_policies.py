# SPDX-License-Identifier: Apache-2.0
"""Dtype policies: what a layer computes in, and what it keeps its weights in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from typing import Any

import numpy as np

from fastnn import config
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    serialize_keras_object,
)

_MODULE = "keras.dtype_policies"
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_QUANTIZED = ("int8_from", "int4", "float8", "gptq", "awq", "ternary")


def _dtypes(name: Any) -> tuple[str, str]:
    """(compute dtype, variable dtype) of a policy's name.

    Raises:
        TypeError: for no string. ValueError: for an unknown name.
        NotImplementedError: for a quantized policy.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"[DTypePolicy] name must be a string such as 'mixed_bfloat16', received "
            f"{name!r}."
        )
    return _known_dtypes(name)


@cache  # every call of a function asks, and NumPy's name of a dtype takes 5 us
def _known_dtypes(name: str) -> tuple[str, str]:
    if name in _MIXED:
        return _MIXED[name], "float32"
    if name.startswith(_QUANTIZED):
        raise _not_quantized(name)
    found = {"bfloat16": name, "string": name, "float": "float32", "int": "int32"}
    try:
        dtype = found.get(name) or np.dtype(name)
    except TypeError:
        dtype = None
    if isinstance(dtype, np.dtype):
        dtype = dtype.name if dtype.kind in "biuf" and dtype.itemsize <= 8 else None
    if dtype is None:
        raise ValueError(
            f"[DTypePolicy] unknown policy {name!r}: it is 'mixed_bfloat16', "
            "'mixed_float16' or the name of a dtype, such as 'float32'."
        )
    return dtype, dtype


def _not_quantized(name: str) -> NotImplementedError:
    return NotImplementedError(
        f"[DTypePolicy] fastnn does not quantize: policy {name!r} is not available. "
        "'bfloat16' halves the memory of weights, 'mixed_bfloat16' the work."
    )


@export("keras", _MODULE)
@export("keras.mixed_precision", names=("Policy",))
class DTypePolicy:
    """The dtypes of a layer: inputs and weights are cast to `compute_dtype` in calls.

    Args:
        name: a dtype for both, `"mixed_bfloat16"` or `"mixed_float16"` for weights in
            float32 and 16-bit computation (Micikevicius et al., 2018,
            arXiv:1710.03740); None is the policy of `config.set_dtype_policy`.

    Raises:
        ValueError: for an unknown name.
        NotImplementedError: for a quantized policy.
    """

    def __init__(self, name: str | None = None) -> None:
        self._name = config.dtype_policy().name if name is None else name
        self._compute_dtype, self._variable_dtype = _dtypes(self._name)

    @property
    def name(self) -> str:
        """What it was made with."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype that a layer computes in, and gives."""
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        """Dtype of a layer's weights."""
        return self._variable_dtype

    @property
    def quantization_mode(self) -> None:
        """None: fastnn does not quantize."""
        return

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the policy again."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        """Makes a policy from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self.name}">'

    def __eq__(self, other: object) -> bool:
        # FloatDTypePolicy is another name of DTypePolicy.
        plain = (DTypePolicy, FloatDTypePolicy)
        if type(self) not in plain or type(other) not in plain:
            return self is other
        return self.name == other.name  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.name)


Policy = DTypePolicy


@export("keras", _MODULE)
class FloatDTypePolicy(DTypePolicy):
    """The same as `DTypePolicy`."""


@export(_MODULE)
class DTypePolicyMap(DTypePolicy, MutableMapping[str, DTypePolicy]):
    """Policies by the paths of layers, for a layer with layers inside.

    Args:
        default_policy: for paths that are not in the map; None is the policy of
            `config.set_dtype_policy`.
        policy_map: path, or regular expression that matches whole paths -> policy.

    Raises:
        ValueError: for a map as the default, a path that several expressions match,
            and a path that is set twice.
    """

    def __init__(
        self, default_policy: Any = None, policy_map: dict[str, Any] | None = None
    ) -> None:
        if isinstance(default_policy, DTypePolicyMap):
            raise ValueError("[DTypePolicyMap] default_policy cannot be a map.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise TypeError(
                f"[DTypePolicyMap] policy_map must be a dict, received {policy_map!r}."
            )
        self._given = default_policy
        self._policies = {path: get(p) for path, p in (policy_map or {}).items()}

    @property
    def name(self) -> str:
        return f"map_{self.default_policy.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """Policy of paths that are not in the map."""
        return get(self._given)

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    def __getitem__(self, path: str) -> DTypePolicy:
        if path in self._policies:
            return self._policies[path]
        found = [key for key in self._policies if re.fullmatch(key, path)]
        if len(found) > 1:
            raise ValueError(
                f"[DTypePolicyMap] path {path!r} matches several keys: {found}."
            )
        return self._policies[found[0]] if found else self.default_policy

    def __setitem__(self, path: str, policy: Any) -> None:
        if path in self._policies:
            raise ValueError(
                f"[DTypePolicyMap] {path!r} has a policy already: delete it first."
            )
        self._policies[path] = get(policy)

    def __delitem__(self, path: str) -> None:
        del self._policies[path]

    def __contains__(self, path: object) -> bool:
        return path in self._policies

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __repr__(self) -> str:
        names = {path: policy.name for path, policy in self._policies.items()}
        return f"<DTypePolicyMap default={self.default_policy.name!r} {names}>"

    __hash__ = object.__hash__

    def get_config(self) -> dict[str, Any]:
        return {
            "default_policy": serialize_keras_object(self._given),
            "policy_map": serialize_keras_object(self._policies),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> DTypePolicyMap:
        return cls(**{k: deserialize_keras_object(v) for k, v in config.items()})


class _Quantized(DTypePolicy):
    """Keras's name of a policy that fastnn does not have."""

    def __init__(self, mode: Any, source_name: Any = None) -> None:
        raise _not_quantized(f"{mode}_from_{source_name}")


@export(_MODULE)
class QuantizedDTypePolicy(_Quantized):
    """Not available.

    Raises:
        NotImplementedError: always.
    """


@export(_MODULE)
class QuantizedFloat8DTypePolicy(_Quantized):
    """Not available, as `QuantizedDTypePolicy`."""

    def __init__(
        self, mode: Any, source_name: Any = None, amax_history_length: int = 1024
    ) -> None:
        super().__init__(mode, source_name)


@export(_MODULE)
class Int4DTypePolicy(_Quantized):
    """Not available, as `QuantizedDTypePolicy`."""


@export(_MODULE)
class GPTQDTypePolicy(_Quantized):
    """Not available, as `QuantizedDTypePolicy`."""


@export(_MODULE)
class AWQDTypePolicy(_Quantized):
    """Not available, as `QuantizedDTypePolicy`."""


@export(_MODULE)
class TernaryDTypePolicy(_Quantized):
    """Not available, as `QuantizedDTypePolicy`."""


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """The config dict of a policy."""
    found: dict[str, Any] = serialize_keras_object(dtype_policy)
    return found


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Any:
    """The policy that `serialize` described."""
    return deserialize_keras_object(
        config, custom_objects, module_objects=exported(_MODULE)
    )


def get(identifier: Any) -> Any:
    """A policy by name, dtype, config or object; None is the process-wide one.

    Raises:
        ValueError: for anything else.
    """
    if identifier is None:
        return config.dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return DTypePolicy(identifier)
    try:
        return DTypePolicy(np.dtype(identifier).name)
    except TypeError:
        raise ValueError(
            f"[dtype_policies.get] cannot interpret dtype={identifier!r}: give the "
            "name of a policy, such as 'mixed_bfloat16', or a DTypePolicy."
        ) from None
