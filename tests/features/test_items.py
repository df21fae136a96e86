# SPDX-License-Identifier: Apache-2.0
"""Every item of items.txt has a test that names it, and no test names another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from fastnn import tf

HERE = Path(__file__).resolve().parent
# Items without a test, and why.
NOT_SHOWN = {
    "1B-28": "names of other tools",
    "1B-31": "scikit-learn's neighbours on predictions",
    "1C-12": "a ranking, not a statement about a function",
    "1C-18": "the name of an initialization",
    "1C-32": "names of optimizers",
    "2.2-18": "columns of features belong to tf.feature_column, which there is not",
    "2.9-10": "there is no tf.data",
    "2.9-15": "NumPy's name, which NumPy removed",
    "2.9-16": "a name of a TensorFlow 1; Keras 3 calls the layer batch_normalization",
    "2.9-18": "an argument of scikit-learn's SGDClassifier",
    "2.9-20": "there is no tfds",
    "4A-10c": "there is no tf.data: nothing has that representation",
    "4D-53": "follows from the running means of 4D-40",
    "4I-102": "there is no tf.data: the loop over a dataset is one over a tensor",
    "4I-103": "a time of TensorFlow; benchmarks/eager.py measures function and fit",
}


def items() -> dict[str, str]:
    """Statements by id."""
    text = (HERE / "items.txt").read_text()
    found: dict[str, str] = {}
    part = ""
    for line in text.splitlines():
        if line.startswith("## "):
            part = line[3:].split(":")[0]
        elif line and line[0] != "#":
            key, statement = line.split(" ", 1)
            assert key.startswith(f"{part}-") and key not in found, key
            found[key] = statement
    return found


def marks(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(id, name of the test) of each `pytest.mark.feature` of a module."""
    for node in ast.walk(tree):
        for mark in getattr(node, "decorator_list", ()):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith(
                "mark.feature"
            ):
                for key in mark.args:
                    yield ast.literal_eval(key), node.name


def shown() -> dict[str, list[str]]:
    """Tests by id."""
    found: dict[str, list[str]] = {}
    for path in sorted(HERE.parent.rglob("test_*.py")):
        text = path.read_text()
        if "mark.feature" in text:
            for key, name in marks(ast.parse(text)):
                found.setdefault(key, []).append(f"{path.name}::{name}")
    return found


def test_every_item_has_a_test() -> None:
    tests = shown()
    missing = {k: text for k, text in items().items() if k not in tests}
    assert missing.keys() == NOT_SHOWN.keys()
    assert not hasattr(tf, "data")


def test_marks_name_items() -> None:
    unknown = {k: tests for k, tests in shown().items() if k not in items()}
    assert not unknown


def test_marked_tests_are_collected() -> None:
    for key, tests in shown().items():
        for name in tests:
            last = name.rsplit("::", 1)[1]
            assert last.startswith(("test_", "Test")), f"{key}: {name} is no test"
