# SPDX-License-Identifier: Apache-2.0
"""Expressions give what TensorFlow gave (tools/record_structures.py recorded it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structures_cases import EXPRESSIONS, evaluate

from fastnn import tf

GOLDEN = json.loads((Path(__file__).parent / "golden" / "structures.json").read_text())
# Where fastnn's choice is another one:
DIFFERS: dict[str, Any] = {
    # Every ragged tensor counts, also one without rows.
    "tf.concat([tf.ragged.constant([[]], tf.string, ragged_rank=2), "
    "tf.ragged.constant([], tf.string, ragged_rank=2)], -1)": "error",
    # Padding makes n-grams of empty rows, also where all rows are empty.
    "tf.strings.ngrams(tf.ragged.constant([[], [], []], tf.string, ragged_rank=1), 2, "
    "pad_values=('L', 'R'))": {"ragged": [["L R"]] * 3, "dtype": "string"},
    # Means of integers are floatx(), as everywhere.
    "tf.reduce_mean(tf.ragged.constant([[-3]], tf.int32, ragged_rank=1), 1)": {
        "tensor": [-3.0],
        "shape": [1],
        "dtype": "float32",
    },
    "tf.reduce_mean(tf.ragged.constant([[], [[0, -4, -5]], []], tf.int32, "
    "ragged_rank=2), 1)": {"ragged": [[], [0.0, -4.0, -5.0], []], "dtype": "float32"},
}


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(same(found[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(map(same, found, wanted))
        )
    if isinstance(wanted, float):
        return isinstance(found, float) and bool(
            np.isclose(found, wanted, rtol=1e-6, equal_nan=True)
        )
    return type(found) is type(wanted) and found == wanted


def test_the_table_and_the_record_agree():
    assert set(EXPRESSIONS) <= {expression for expression, _ in GOLDEN}
    assert len(GOLDEN) > 700


@pytest.mark.parametrize(("expression", "wanted"), GOLDEN, ids=range(len(GOLDEN)))
@pytest.mark.feature("1D-9", "1D-10", "1D-11", "1D-12", "1D-13", "4A-9a", "4A-9b")
def test_as_tensorflow(expression, wanted):
    found = json.loads(json.dumps(evaluate(expression, tf)))
    assert same(found, DIFFERS.get(expression, wanted)), (found, wanted)
