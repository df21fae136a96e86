# SPDX-License-Identifier: Apache-2.0
"""Constructor arguments of layers and operations: unknown ones, automatic configs."""

from __future__ import annotations

from typing import Any

from fastnn._registry import suggest
from fastnn.serialization import serialize_keras_object


def unknown_arguments(function: Any, received: dict[str, Any]) -> str:
    """Error text that names the unknown keyword arguments and near known ones."""
    import inspect

    known: set[str] = set()
    for owner in function.__mro__ if isinstance(function, type) else (function,):
        known.update(inspect.signature(owner).parameters)
    hints = "".join(suggest(name, known - {"kwargs", "old"}) for name in received)
    shown = ", ".join(f"{key}={value!r}" for key, value in received.items())
    return f"[{function.__name__}] unknown keyword arguments: {shown}.{hints}"


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (str, int, float, bool))


def automatic_config(
    layer: Any, made_with: tuple[Any, Any], base: dict[str, Any]
) -> dict[str, Any]:
    """`base` plus the arguments the layer was made with, when all are plain values.

    Args:
        layer: a layer or operation.
        made_with: (args, kwargs) of its constructor.
        base: what its base class writes.

    Raises:
        NotImplementedError: when an argument is an object: the layer must say itself
            how to write it.
    """
    import inspect

    cls = type(layer)
    args, kwargs = made_with
    bound = inspect.signature(cls.__init__).bind(layer, *args, **kwargs)
    given = dict(list(bound.arguments.items())[1:])
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            given.update(given.pop(name, {}))
    own = {key: value for key, value in given.items() if key not in base}
    objects = [key for key, value in own.items() if not _is_plain(value)]
    if objects:
        raise NotImplementedError(
            f"[get_config] {cls.__name__} takes objects ({', '.join(objects)}), so it "
            "must implement get_config() and from_config().\n\n"
            "    def get_config(self):\n"
            "        return {**super().get_config(), 'units': self.units}"
        )
    return {**base, **serialize_keras_object(own)}
