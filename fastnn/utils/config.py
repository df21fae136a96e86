# SPDX-License-Identifier: Apache-2.0
"""Config: named values that can be frozen."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from fastnn._registry import export


@export("keras.utils")
class Config:
    """A dict whose entries are attributes too, and which can be frozen.

    Example:
        >>> config = keras.utils.Config(learning_rate=0.1)
        >>> config.seed = 123
        >>> config.freeze()  # from here on changes are errors
        >>> config.seed
        123
    """

    _config: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_config", dict(kwargs))
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        """Whether changes are errors."""
        return self._frozen

    def freeze(self) -> None:
        """Makes changes errors."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allows changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """The entries as a dict of its own."""
        return dict(self._config)

    def to_json(self) -> str:
        """The entries as JSON."""
        import json

        return json.dumps(self._config)

    def keys(self) -> KeysView[str]:
        return self._config.keys()

    def values(self) -> ValuesView[Any]:
        return self._config.values()

    def items(self) -> ItemsView[str, Any]:
        return self._config.items()

    def get(self, keyname: str, value: Any = None) -> Any:
        """The entry, or value where there is none."""
        return self._config.get(keyname, value)

    def pop(self, *args: Any) -> Any:
        """Takes an entry out, as `dict.pop`."""
        return self._changing().pop(*args)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Sets several entries, as `dict.update`."""
        self._changing().update(*args, **kwargs)

    def _changing(self) -> dict[str, Any]:
        if self._frozen:
            raise ValueError("[Config] it is frozen: call unfreeze() before a change")
        return self._config

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"[Config] {name!r} is a part of Config itself")
        self._changing()[name] = value

    def __getattr__(self, name: str) -> Any:
        entries = self.__dict__.get("_config", {})
        if name in entries:
            return entries[name]
        import difflib

        near = difflib.get_close_matches(name, entries, n=1, cutoff=0.7)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"[Config] there is no entry {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        del self[name]

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self._changing()[key] = item

    def __delitem__(self, key: str) -> None:
        del self._changing()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __contains__(self, item: object) -> bool:
        return item in self._config

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
