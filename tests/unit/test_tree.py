# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import pytest

from fastnn import tree

Point = namedtuple("Point", "x y")
NESTED = {"b": 1, "a": [2, None, (3,)], "p": Point(4, {"z": 5, "c": 6})}
LEAVES = [2, None, 3, 1, 4, 6, 5]  # dicts by sorted key, None is a leaf


def test_flatten():
    assert tree.flatten(NESTED) == LEAVES
    assert tree.flatten(7) == [7]
    assert tree.flatten(None) == [None]
    assert tree.flatten([]) == []
    assert tree.flatten(OrderedDict(z=1, a=2)) == [1, 2]


def test_flatten_with_path():
    paths = dict(tree.flatten_with_path(NESTED))
    assert paths[("a", 2, 0)] == 3
    assert paths[("p", 1, "c")] == 6
    assert tree.flatten_with_path(1) == [((), 1)]


def test_pack_is_the_inverse_and_keeps_types_and_key_order():
    packed = tree.pack_sequence_as(NESTED, LEAVES)
    assert packed == NESTED
    assert list(packed) == ["b", "a", "p"]
    assert type(packed["p"]) is Point
    counted = tree.pack_sequence_as(defaultdict(list, k=0), [1])
    assert counted["missing"] == []
    assert type(tree.pack_sequence_as(OrderedDict(a=1), [2])) is OrderedDict
    assert tree.unflatten(None, [1]) == 1


@pytest.mark.parametrize("flat", [[1], [1, 2, 3]])
def test_pack_counts_leaves(flat):
    with pytest.raises(ValueError, match="2 leaves"):
        tree.pack_sequence_as([0, 0], flat)


def test_map_structure():
    assert tree.map_structure(lambda a, b: a + b, [1, {"k": 2}], [10, {"k": 20}]) == [
        11,
        {"k": 22},
    ]
    assert tree.map_structure(lambda x: x is None, [None, 1]) == [True, False]
    assert tree.map_structure(abs, [None, -1], none_is_leaf=False) == [None, 1]
    with pytest.raises(ValueError, match="None"):
        tree.map_structure(max, [None], [1], none_is_leaf=False)


def test_map_structure_up_to_hands_over_subtrees():
    result = tree.map_structure_up_to([0, 0], lambda a, b: (a, b), [1, [2, 3]], [4, 5])
    assert result == [(1, 4), ([2, 3], 5)]


def test_traverse():
    doubled = tree.traverse(lambda x: x * 2 if isinstance(x, int) else None, [1, (2,)])
    assert doubled == [2, (4,)]
    gone = tree.traverse(lambda x: tree.MAP_TO_NONE if x == 1 else None, [1, 2])
    assert gone == [None, 2]
    order = []
    tree.traverse(lambda x: order.append(x), [[1], 2], top_down=False)
    assert order == [1, [1], 2, [[1], 2]]


def test_lists_to_tuples():
    assert tree.lists_to_tuples([[1], {"a": [2]}]) == ((1,), {"a": (2,)})


def test_map_shape_structure():
    shapes = {"a": (None, 3), "b": [[2, 1], (4,)]}
    assert tree.map_shape_structure(len, shapes) == {"a": 2, "b": [2, 1]}


def test_is_nested():
    assert all(tree.is_nested(x) for x in ([], (), {}, Point(1, 2)))
    assert not any(tree.is_nested(x) for x in (None, 1, "abc", {1}))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1], (1,), "structures differ"),
        ([1], [1, 2], "lengths differ"),
        ({"a": 1}, {"b": 1}, "keys differ"),
        ([1], 1, "structures differ"),
        ([[1], [2]], [[1], 2], "structures differ"),
    ],
)
def test_assert_same_structure(a, b, message):
    tree.assert_same_structure(a, a)
    with pytest.raises(ValueError, match=message):
        tree.assert_same_structure(a, b)


def test_all_dicts_are_one_type():
    tree.assert_same_structure({"a": 1, "b": 2}, OrderedDict(b=2, a=1))


def test_assert_same_paths():
    tree.assert_same_paths([1, {"a": 2}], (3, {"a": 4}))
    with pytest.raises(ValueError, match=r"Only in `a`: \[\('x',\)\]"):
        tree.assert_same_paths({"x": 1}, {"y": 1})


@pytest.mark.parametrize("name", ["map_structure", "map_structure_up_to", "traverse"])
def test_func_must_be_callable(name):
    arguments = ([], 3, []) if name == "map_structure_up_to" else (3, [])
    with pytest.raises(TypeError, match="callable"):
        getattr(tree, name)(*arguments)
