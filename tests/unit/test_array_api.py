# SPDX-License-Identifier: Apache-2.0
"""docs/array_api.md says what the calls show; and what the tool cannot compare."""

from __future__ import annotations

import array_api as page
import numpy as np
import pytest

from fastnn import array_api, ops

ROWS = [
    pytest.param(name, calls, id=name)
    for rows in page.GROUPS.values()
    for name, calls in rows.items()
]


@pytest.mark.parametrize(("name", "calls"), ROWS)
def test_what_differs_from_the_standard_has_a_reason(name: str, calls: list) -> None:
    with np.errstate(all="ignore"):
        differs = page.differences(calls)
    assert bool(differs) == (name in page.REASONS), differs


def test_the_page_is_current() -> None:
    assert page.main(["--check"]) == 0


def test_the_namespace_of_a_tensor() -> None:
    x = ops.convert_to_tensor([[1.0, 2.0]])
    for version in (None, "2021.12", "2024.12"):
        assert x.__array_namespace__(api_version=version) is array_api
    with pytest.raises(ValueError, match=r"2024\.12"):
        x.__array_namespace__(api_version="2019.01")
    assert (x.device, x.to_device("cpu") is x) == ("cpu", True)
    with pytest.raises(ValueError, match="cpu"):
        x.to_device("tpu")
    assert x.mT.shape == (2, 1)
    assert set(array_api.__dir__()) >= {"concat", "unique_all", "float32", "matmul"}
    with pytest.raises(AttributeError, match="nonsense"):
        array_api.nonsense  # noqa: B018


def test_what_there_is() -> None:
    info = array_api.__array_namespace_info__()
    assert info.default_device() == "cpu" and info.devices() == ["cpu"]
    assert info.default_dtypes()["integral"] == "int32"
    assert info.dtypes(kind="real floating") == {
        "float32": "float32",
        "float64": "float64",
    }
    assert info.capabilities()["max dimensions"] == 8


def test_code_for_any_array_runs() -> None:
    """A standardization as libraries write it for all arrays."""

    def standardized(x):
        xp = x.__array_namespace__()
        mean = xp.mean(x, axis=0, keepdims=True)
        std = xp.std(x, axis=0, keepdims=True, correction=1.0)
        return xp.concat([(x - mean) / std, xp.astype(x > mean, x.dtype)], axis=1)

    x = np.random.default_rng(0).standard_normal((7, 3))
    got = standardized(ops.convert_to_tensor(x))
    np.testing.assert_allclose(got.numpy(), standardized(x), rtol=1e-12)
