# SPDX-License-Identifier: Apache-2.0
"""Objects to and from plain data, in Keras 3's JSON form.

An object becomes `{"module", "class_name", "config", "registered_name"}`. Names are
only ever looked up in tables that were filled when classes were defined (`export` for
fastnn's own, `register_keras_serializable` for the user's): a config can neither import
a module nor carry code.
"""

from __future__ import annotations

import reprlib
from _thread import _local
from collections.abc import Callable, Iterator, Mapping
from types import EllipsisType, FunctionType, TracebackType
from typing import Any

import numpy as np

from fastnn import _lazy
from fastnn._registry import CustomObjectScope as CustomObjectScope
from fastnn._registry import custom_object_scope as custom_object_scope
from fastnn._registry import export as export
from fastnn._registry import exported as exported
from fastnn._registry import exported_name, exported_names, find_exported
from fastnn._registry import get_custom_objects as get_custom_objects
from fastnn._registry import get_registered_name as get_registered_name
from fastnn._registry import get_registered_object as get_registered_object
from fastnn._registry import register_keras_serializable as register_keras_serializable
from fastnn._registry import suggest as suggest
from fastnn.errors import SerializationError, cut

# Of configs in configs, each error would quote all of the next one's: 40 layers around
# 11 MB took 10 GB.
_brief = reprlib.Repr()
_brief.maxlevel, _brief.maxdict, _brief.maxstring, _brief.maxother = 4, 40, 200, 200
_PLAIN_TYPES = (str, int, float, bool)
_LOOKUPS = ("deserialize", "get", "serialize", "schedules")
_COMPILED = "cython_function_or_method"  # the type of functions of fastnn.ops

# tag -> (type, encode, decode), for values such as tensors that live on higher floors
_codecs: dict[str, tuple[type, Callable[..., Any], Callable[..., Any]]] = {}


class _Shared:
    """Objects read by their id in the file, and (object, config) written by `id`."""

    def __init__(self) -> None:
        self.read: dict[int, Any] = {}
        # The object is kept, for another one may get its `id` once it is gone.
        self.written: dict[int, tuple[Any, dict[str, Any]]] = {}
        self.numbered = 0


class _State(_local):
    def __init__(self) -> None:
        self.shared: list[_Shared] = []


_state = _State()


def register_codec(
    tag: str,
    cls: type,
    encode: Callable[[Any], dict[str, Any]],
    decode: Callable[[dict[str, Any]], Any],
) -> None:
    """Teaches (de)serialization a value type, stored as `{"class_name": tag, ...}`."""
    _codecs[tag] = (cls, encode, decode)


class ObjectSharingScope:
    """Context in which an object met twice is written, and read back, as one object."""

    def __enter__(self) -> None:
        _state.shared.append(_Shared())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _state.shared.pop()


def serialize_keras_object(obj: Any) -> Any:
    """Describes an object by plain data that JSON can hold.

    Args:
        obj: None, a plain value, a list, tuple or dict of such, a NumPy array, a named
            function, or an object with `get_config`.

    Returns:
        The plain value itself, or a dict with `module`, `class_name`, `config` and
        `registered_name`.

    Raises:
        SerializationError: for a lambda, and for an object without `get_config`.
    """
    if obj is None or type(obj) in _PLAIN_TYPES:
        return obj
    if isinstance(obj, (list, tuple)):
        items = [serialize_keras_object(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    special = _serialize_value(obj)
    if special is not None:
        return special
    if isinstance(obj, FunctionType) or type(obj).__name__ == _COMPILED:
        return _serialize_function(obj)
    return _serialize_object(obj)


def _serialize_value(obj: Any) -> Any:
    """Values with a tag of their own, or None."""
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("utf-8")}}
    if isinstance(obj, slice):
        config = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": serialize_keras_object(config)}
    if isinstance(obj, EllipsisType):
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.ndarray) and obj.ndim:
        config = {"value": obj.tolist(), "dtype": obj.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    if isinstance(obj, (np.generic, np.ndarray)):
        return obj.item()
    if isinstance(obj, np.dtype):
        return obj.name
    for tag, (cls, encode, _) in _codecs.items():
        if isinstance(obj, cls):
            return {"class_name": tag, "config": encode(obj)}
    return None


def _serialize_function(function: FunctionType) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        raise SerializationError(
            "[serialize_keras_object] a lambda cannot be saved.\n\n"
            "    loss=lambda y, p: ops.square(y - p)     # wrong\n\n"
            "    @register_keras_serializable()\n"
            "    def my_loss(y, p):                      # right\n"
            "        return ops.square(y - p)\n\n"
            "A saved lambda would be code that runs on load; a name is looked up."
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(function),
        "registered_name": "function",
    }


def _serialize_object(obj: Any) -> dict[str, Any]:
    cls = obj if isinstance(obj, type) else type(obj)
    if hasattr(obj, "get_config") and not isinstance(obj, type):
        config = obj.get_config()
        if not isinstance(config, dict):
            raise SerializationError(
                f"[serialize_keras_object] {cls.__name__}.get_config() must return "
                f"a dict, it returned {config!r}."
            )
    elif hasattr(obj, "__name__"):
        config = get_registered_name(obj)
    else:
        raise SerializationError(
            f"[serialize_keras_object] {cls.__name__} has no get_config() method, "
            "so its configuration is unknown."
        )
    public = exported_name(cls)
    module, class_name = public or (cls.__module__, cls.__name__)
    registered_name = None if public else get_registered_name(cls)
    result = {
        "module": module,
        "class_name": class_name,
        "config": serialize_keras_object(config),
        "registered_name": registered_name,
    }
    for key in ("build_config", "compile_config"):
        extra = getattr(obj, f"get_{key}", lambda: None)()
        if extra is not None:
            result[key] = serialize_keras_object(extra)
    return _record_written(obj, result)


def _record_written(obj: Any, config: dict[str, Any]) -> dict[str, Any]:
    if config["module"] == "__main__":
        config["module"] = None  # another program's __main__ is another module
    if _state.shared:
        scope = _state.shared[-1]
        first = scope.written.setdefault(id(obj), (obj, config))[1]
        if first is not config:
            # Numbers by order, where Keras writes addresses: equal models, equal files.
            if "shared_object_id" not in first:
                scope.numbered += 1
                first["shared_object_id"] = scope.numbered
            config["shared_object_id"] = first["shared_object_id"]
    return config


def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    *,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """Rebuilds what `serialize_keras_object` described.

    Args:
        config: plain data.
        custom_objects: name -> class or function for names that are not registered.
        safe_mode: kept for Keras's signature; code in a config is refused either way.
        module_objects: the table of one module, tried first for configs that name no
            module (files of Keras 2).

    Returns:
        The object; lists, dicts and plain values come back as such.

    Raises:
        SerializationError: when a name is unknown here, or the config holds code.
    """
    if config is None or isinstance(config, (int, float)):
        return config
    with CustomObjectScope(custom_objects):
        if isinstance(config, str) and module_objects and config in module_objects:
            found = get_registered_object(config) or module_objects[config]
            return found() if isinstance(found, type) else found
        return _deserialize(config, module_objects or {})


def _deserialize(config: Any, table: Mapping[str, Any]) -> Any:
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, (list, tuple)):
        return [_deserialize(item, {}) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _deserialize(value, {}) for key, value in config.items()}
    class_name = config["class_name"]
    inner = config["config"] if config["config"] is not None else {}
    if isinstance(class_name, str) and class_name.startswith("__"):
        return _deserialize_value(class_name, inner)
    if class_name == "function":
        return _find_function(config, table)
    shared = _state.shared[-1].read if _state.shared else None
    shared_id = config.get("shared_object_id")
    if shared is not None and shared_id in shared:
        return shared[shared_id]
    instance = _build(_find_class(config, table), config, inner)
    if shared is not None and shared_id is not None:
        shared[shared_id] = instance
    return instance


def _deserialize_value(tag: str, config: dict[str, Any]) -> Any:
    if tag == "__bytes__":
        return config["value"].encode("utf-8")
    if tag == "__ellipsis__":
        return Ellipsis
    if tag == "__slice__":
        return slice(config["start"], config["stop"], config["step"])
    if tag == "__numpy__":
        return _array(config)
    if tag in _codecs:
        return _codecs[tag][2](config)
    if tag == "__lambda__":
        raise SerializationError(
            "[deserialize_keras_object] the config holds a Python lambda, that is "
            "code to run. fastnn never runs code from a file: rebuild the model with a "
            "named function registered by register_keras_serializable, then load its "
            "weights."
        )
    raise SerializationError(f"[deserialize_keras_object] unknown value type {tag!r}.")


# Values that stand for numbers: an array of another kind could be of any size.
_NUMBERS = "biuf"


def _array(config: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(config["dtype"])
    if dtype.kind not in _NUMBERS:
        raise SerializationError(
            f"[deserialize_keras_object] arrays hold numbers, not {dtype}."
        )
    return np.array(config["value"], dtype=dtype)


# Near names take 5 ms to find, and a file may have a million unknown ones.
_HINTS = 20


def unknown_objects(config: Any, place: str = "config") -> Iterator[tuple[str, str]]:
    """(place, problem) of every class and function in a config that is not known here.

    Nothing is made, and nothing of the config runs.
    """
    return _unknown_objects(config, place, [_HINTS])


def _unknown_objects(
    config: Any, place: str, hints: list[int]
) -> Iterator[tuple[str, str]]:
    if isinstance(config, (list, tuple)):
        for i, item in enumerate(config):
            yield from _unknown_objects(item, f"{place}[{i}]", hints)
    elif isinstance(config, dict):
        name = config.get("class_name")
        if isinstance(name, str) and "config" in config:
            problem = _problem_of(name, config, hints)
            if problem:
                yield place, problem
        for key, item in config.items():
            yield from _unknown_objects(item, f"{place}.{key}", hints)


def _problem_of(name: str, config: dict[str, Any], hints: list[int]) -> str:
    """Why an object cannot be made; what the operations of graphs are, they know."""
    if name == "__lambda__":
        return "a Python lambda is code, and code of files never runs."
    module = str(config.get("module"))
    if name.startswith("__") or name.endswith("Policy"):
        return ""
    if module.startswith("keras.src.ops."):
        return ""
    kind, find = "class", _class_of
    if name == "function":
        kind, find, name = "function", _function_of, config["config"]
    try:
        if find(config, {}) is not None:
            return ""
    except SerializationError as error:
        return str(error).split("\n")[0].removeprefix("[deserialize_keras_object] ")
    hints[0] -= 1
    return _unknown_text(kind, name, config, hints[0] >= 0)


def _find_function(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    found = _function_of(config, table)
    if found is None:
        raise _unknown("function", config["config"], config)
    return found


def _function_of(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    name = config["config"]
    if not isinstance(name, str):
        raise SerializationError(
            f"[deserialize_keras_object] a function's config is its name, got {name!r}."
        )
    found = get_registered_object(name, module_objects=table)
    if found is None:
        found = find_exported(config.get("module"), name)
        found = found if _is_of_models(found) else _of_ops(name)
    return found


# Where functions are defined that files may name. Others draw, copy models or write
# files: as the function of a Lambda `plot_image_gallery(x, path=...)` wrote any file.
_FUNCTIONS = {"keras.activations", "keras.losses", "keras.metrics"}
# And of ops, those that can be activations: a tensor in, one of its shape out.
_OPS = {"fastnn.ops.pointwise", "fastnn.ops.activation"}


def _of_ops(name: str) -> Any:
    home = _lazy.homes("keras.ops").get(name)
    return getattr(_lazy.load_module(home), name) if home in _OPS else None


def _is_of_models(found: Any) -> bool:
    """Whether one of fastnn's own names is a function that models consist of."""
    public = None if isinstance(found, type) else exported_name(found)
    return public is not None and public[0] in _FUNCTIONS


def _find_class(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    found = _class_of(config, table)
    if found is None:
        raise _unknown("class", config["class_name"], config)
    return found


def _class_of(config: dict[str, Any], table: Mapping[str, Any]) -> Any:
    class_name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name") or class_name
    found = get_registered_object(registered)
    if found is None and registered != class_name:
        found = get_registered_object(class_name)
    if found is None and not module:
        found = table.get(class_name)
    if found is None:
        found = find_exported(module, class_name)
        if not (isinstance(found, type) or _is_of_models(found)):
            return None
    return found


def _build(cls: Any, config: dict[str, Any], inner: Any) -> Any:
    if isinstance(cls, FunctionType):
        return cls
    if not hasattr(cls, "from_config"):
        raise SerializationError(
            f"[deserialize_keras_object] class {cls.__name__} has no from_config()."
        )
    if not isinstance(inner, dict):
        raise SerializationError(
            f"[deserialize_keras_object] config of {cls.__name__} must be a dict, "
            f"got {inner!r}."
        )
    try:
        instance = cls.from_config(inner)
    except (TypeError, KeyError) as error:
        lacking = isinstance(error, KeyError)
        text = cut(f"no entry {error}" if lacking else str(error))
        raise TypeError(
            f"[deserialize_keras_object] {cls.__name__} rejects its config: {text}. "
            "Objects inside get_config() must be deserialized in from_config(). "
            f"Config: {cut(_brief.repr(inner))}"
        ) from error
    if config.get("build_config") and not instance.built:
        instance.build_from_config(config["build_config"])
        instance.built = True
    if config.get("compile_config"):
        instance.compile_from_config(config["compile_config"])
        instance.compiled = True
    return instance


def _unknown(kind: str, name: str, config: dict[str, Any]) -> SerializationError:
    return SerializationError(
        f"[deserialize_keras_object] {_unknown_text(kind, name, config, True)}\n\n"
        f"    load_model(path)                                       # wrong\n\n"
        f'    load_model(path, custom_objects={{"{name}": {name}}})     # right\n\n'
        "or decorate it with @register_keras_serializable(). Only names are saved, "
        "never code."
    )


def _unknown_text(kind: str, name: str, config: dict[str, Any], hint: bool) -> str:
    module, registered = config.get("module"), config.get("registered_name")
    near = suggest(name, exported_names()) if hint else ""
    where = f"(module {module!r}, registered name {registered!r})"
    return f"unknown {kind} {name!r} {where}.{near}"


def resolve(identifier: Any, table: Mapping[str, Any], kind: str) -> Any:
    """What a name, config, class or object given by the user stands for.

    Args:
        identifier: None, a name of `table` or of a custom object, a config dict, a
            class (it is instantiated), or a callable that is returned as it is.
        table: name -> class or function.
        kind: word for the error message, `"loss"`.

    Raises:
        ValueError: when nothing fits; the message lists near names.
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, str):
        found = get_registered_object(identifier, module_objects=table)
        if found is None:
            known = sorted(n for n in table if n.islower() and n not in _LOOKUPS)
            raise ValueError(
                f"[{kind}] unknown {kind} {identifier!r}."
                f"{suggest(identifier, table)} Known names: {', '.join(known)}."
            )
    elif isinstance(identifier, dict):
        found = deserialize_keras_object(identifier, module_objects=table)
    if isinstance(found, type):
        return found()
    if callable(found):
        return found
    raise ValueError(
        f"[{kind}] cannot interpret {identifier!r}; give a name, a config dict, a "
        "class or a callable."
    )
