# SPDX-License-Identifier: Apache-2.0
"""What passed of the ONNX project's node tests still passes."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")

import onnx_node_tests as node_tests  # noqa: E402


@pytest.fixture(scope="module")
def cases():
    return {case.name: case for case in node_tests.collect()}


def test_what_passed_still_passes(cases, tmp_path):
    version, names = node_tests.recorded()
    path = tmp_path / "node.onnx"
    known = names & set(cases)
    if version == onnx.__version__:
        assert known == names
    failures = {name: node_tests.run(cases[name], path) for name in sorted(known)}
    assert {name: why for name, why in failures.items() if why} == {}
    assert len(known) > 1000


def test_the_harness_tells_right_from_wrong(cases, tmp_path):
    case = cases["test_relu"]
    assert node_tests.run(case, tmp_path / "right.onnx") == ""
    (inputs, outputs), *_ = case.data_sets
    case.data_sets[0] = inputs, [out + 1 for out in outputs]
    assert "Not equal" in node_tests.run(case, tmp_path / "wrong.onnx")
    case.data_sets[0] = inputs, outputs
