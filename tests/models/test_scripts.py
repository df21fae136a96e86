# SPDX-License-Identifier: Apache-2.0
"""Scripts written for Keras print here what they print there.

Weights are set to given numbers and rows are not shuffled, so losses after epochs of
training are compared too; the golden files are Keras's own output.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from script_cases import GOLDEN, SCRIPTS, for_fastnn, printed_by, same

from fastnn import keras


@pytest.mark.feature("1B-25", "1C-20", "4E-67")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_a_script_prints_what_it_prints_in_keras(script: Path, tmp_path: Path) -> None:
    keras.backend.clear_session()
    source = for_fastnn(script.read_text())
    got = printed_by(source, script.name, tmp_path)
    expected = (GOLDEN / f"{script.stem}.txt").read_text().splitlines()
    wrong = [
        f"{a!r}\n  in Keras {b!r}"
        for a, b in zip(got, expected, strict=False)
        if not same(a, b)
    ]
    assert not wrong, "\n".join(wrong)
    assert len(got) == len(expected)


def test_every_script_has_its_output_recorded() -> None:
    recorded = {path.stem for path in GOLDEN.glob("*.txt")}
    assert {path.stem for path in SCRIPTS} == recorded and len(recorded) > 10


def test_a_difference_would_be_seen() -> None:
    assert same("loss: 0.1234, x", "loss: 0.1235, x")
    assert not same("loss: 0.1234", "loss: 0.1237")
    assert same("rate: 0.000156", "rate: 0.000157")
    assert not same("rate: 0.000156", "rate: 0.000257")
    assert not same("a: 0.5", "b: 0.5") and not same("a: [0.5]", "a: [0.5, 0.5]")
