# SPDX-License-Identifier: Apache-2.0
"""Nested structures of lists, tuples, named tuples and dicts, as `keras.tree`.

Dicts are visited in sorted key order and rebuilt in their own key order; an
`OrderedDict` is visited in its own order. None is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastnn.errors import warn_user


class MAP_TO_NONE:  # noqa: N801 - Keras's public spelling
    """Returned by the function given to `traverse` to put None in the result."""


def _keys(node: Any) -> list[Any] | None:
    """Keys of the children in visiting order, or None for a leaf."""
    if isinstance(node, (list, tuple)):
        return list(range(len(node)))
    if isinstance(node, dict):
        return list(node) if isinstance(node, OrderedDict) else sorted(node)
    return None


def _rebuild(node: Any, keys: Sequence[Any], children: Sequence[Any]) -> Any:
    if isinstance(node, dict):
        by_key = dict(zip(keys, children, strict=True))
        items = [(key, by_key[key]) for key in node]
        if isinstance(node, defaultdict):
            return type(node)(node.default_factory, items)
        return type(node)(items)
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return type(node)(*children)
    return type(node)(children)


def is_nested(structure: Any) -> bool:
    """True for a list, tuple, named tuple or dict, even an empty one."""
    return isinstance(structure, (list, tuple, dict))


def _leaves(path: tuple[Any, ...], node: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    keys = _keys(node)
    if keys is None:
        yield path, node
        return
    for key in keys:
        yield from _leaves((*path, key), node[key])


def flatten(structure: Any) -> list[Any]:
    """Leaves from left to right; a leaf alone gives a list of one."""
    if not is_nested(structure):
        return [structure]
    leaves: list[Any] = []
    for key in _keys(structure) or ():
        node = structure[key]
        if is_nested(node):
            leaves += flatten(node)
        else:
            leaves.append(node)
    return leaves


def flatten_with_path(structure: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """(path, leaf) pairs; a path is the tuple of keys and positions to the leaf."""
    return list(_leaves((), structure))


def traverse(func: Callable[[Any], Any], structure: Any, top_down: bool = True) -> Any:
    """Rebuilds a structure from what `func` returns for its nodes.

    Args:
        func: called on every node, branches included. None keeps the node (and, from
            the top, goes on into it); `MAP_TO_NONE` stands for None; anything else
            replaces the node.
        structure: the structure to walk over.
        top_down: False calls `func` on the children before their parent.
    """
    _check_callable("traverse", func)
    if top_down:
        result = func(structure)
        if result is not None:
            return None if result is MAP_TO_NONE else result
    keys = _keys(structure)
    rebuilt = structure
    if keys is not None:
        children = [traverse(func, structure[key], top_down) for key in keys]
        rebuilt = _rebuild(structure, keys, children)
    if top_down:
        return rebuilt
    result = func(rebuilt)
    if result is None:
        return rebuilt
    return None if result is MAP_TO_NONE else result


def map_structure(
    func: Callable[..., Any], *structures: Any, none_is_leaf: bool = True
) -> Any:
    """`func` over the leaves of structures that are equal in form.

    Args:
        func: takes one leaf of each structure.
        *structures: at least one; the result has the form of the first.
        none_is_leaf: False keeps None in place without calling `func`.

    Raises:
        ValueError: when the structures differ.
    """
    _check_callable("map_structure", func)
    if not structures:
        raise ValueError("[map_structure] at least one structure is needed.")
    for other in structures[1:]:
        assert_same_structure(structures[0], other)

    def visit(*leaves: Any) -> Any:
        if none_is_leaf or leaves[0] is not None:
            return func(*leaves)
        if any(leaf is not None for leaf in leaves):
            raise ValueError(f"[map_structure] None meets other leaves: {leaves}.")
        return None

    return map_structure_up_to(structures[0], visit, *structures)


def map_structure_up_to(
    shallow_structure: Any, func: Callable[..., Any], *structures: Any
) -> Any:
    """`func` over the subtrees that stand where `shallow_structure` has leaves."""
    _check_callable("map_structure_up_to", func)
    keys = _keys(shallow_structure)
    if keys is None:
        return func(*structures)
    for other in structures:
        _check_node(shallow_structure, other)
    children = [
        map_structure_up_to(shallow_structure[key], func, *(s[key] for s in structures))
        for key in keys
    ]
    return _rebuild(shallow_structure, keys, children)


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """Puts a flat list back into the form of `structure`; inverse of `flatten`.

    Raises:
        ValueError: when there are too few or too many leaves.
    """
    count = len(flatten(structure))
    if len(flat_sequence) != count:
        raise ValueError(
            f"[pack_sequence_as] the structure has {count} leaves, "
            f"flat_sequence has {len(flat_sequence)}."
        )
    if not is_nested(structure):
        return flat_sequence[0]
    return _filled(structure, iter(flat_sequence))


def _filled(node: Any, leaves: Iterator[Any]) -> Any:
    """The node with the next leaves. A function that calls itself through its own
    closure would keep them (gradients!) until the garbage collector comes.
    """
    keys = _keys(node)
    if keys is None:
        return next(leaves)
    return _rebuild(node, keys, [_filled(node[key], leaves) for key in keys])


unflatten = pack_sequence_as


def lists_to_tuples(structure: Any) -> Any:
    """The same structure with every list turned into a tuple."""
    return traverse(
        lambda node: tuple(node) if isinstance(node, list) else None,
        structure,
        top_down=False,
    )


def map_shape_structure(func: Callable[[Any], Any], structure: Any) -> Any:
    """`func` over the shapes of a structure: lists or tuples of integers and None."""
    _check_callable("map_shape_structure", func)

    def visit(node: Any) -> Any:
        if isinstance(node, (list, tuple)) and all(
            isinstance(size, (int, type(None))) for size in node
        ):
            result = func(tuple(node))
            return MAP_TO_NONE if result is None else result
        return None

    return traverse(visit, structure)


def assert_same_structure(a: Any, b: Any, check_types: Any = None) -> None:
    """Raises a ValueError that names the first place where `a` and `b` differ in form.

    Leaves may differ. All dict types count as one; list and tuple do not.
    `check_types` has no effect, as in Keras, and gives a DeprecationWarning.
    """
    if check_types is not None:
        warn_user(
            "[assert_same_structure] check_types has no effect: assert_same_paths is "
            "the looser check.",
            DeprecationWarning,
        )
    _check_node(a, b)
    for key in _keys(a) or ():
        assert_same_structure(a[key], b[key])


def assert_same_paths(a: Any, b: Any) -> None:
    """Raises a ValueError listing the paths that only one of `a` and `b` has."""
    a_paths = {path for path, _ in flatten_with_path(a)}
    b_paths = {path for path, _ in flatten_with_path(b)}
    if a_paths != b_paths:
        raise ValueError(
            "[assert_same_paths] the paths differ. "
            f"Only in `a`: {sorted(a_paths - b_paths, key=str)}; "
            f"only in `b`: {sorted(b_paths - a_paths, key=str)}."
        )


def _check_callable(name: str, func: Any) -> None:
    if not callable(func):
        raise TypeError(f"[{name}] func must be callable, got {func!r}.")


def _check_node(a: Any, b: Any) -> None:
    if not is_nested(a) and not is_nested(b):
        return
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            raise ValueError(f"[tree] dict keys differ: {sorted(a)} and {sorted(b)}.")
    elif type(a) is not type(b):
        raise ValueError(
            f"[tree] structures differ: {type(a).__name__} {a!r} and "
            f"{type(b).__name__} {b!r}."
        )
    elif len(a) != len(b):
        raise ValueError(
            f"[tree] lengths differ: {len(a)} in {a!r}, {len(b)} in {b!r}."
        )
