# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

import pytest

from fastnn import config


@pytest.fixture(autouse=True)
def restored():
    names = [n for n in vars(config) if n.startswith("_") and n.islower()]
    before = {n: getattr(config, n) for n in names if n[1] != "_"}
    yield
    for name, value in before.items():
        setattr(config, name, value)


def test_defaults():
    assert config.floatx() == "float32"
    assert config.dtype_policy().name == "float32"
    assert config.epsilon() == 1e-7
    assert config.image_data_format() == "channels_last"
    assert config.backend() in ("cpu", "reference")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("floatx", "float64"),
        ("epsilon", 1e-5),
        ("image_data_format", "channels_first"),
        ("backend", "reference"),
    ],
)
def test_set_and_get(setting, value):
    getattr(config, f"set_{setting}")(value)
    assert getattr(config, setting)() == value


@pytest.mark.parametrize(
    ("setting", "value", "known"),
    [
        ("floatx", "int8", "float32"),
        ("dtype_policy", "mixed_float8", "mixed_bfloat16"),
        ("epsilon", 0.0, "positive"),
        ("epsilon", float("nan"), "positive"),
        ("image_data_format", "nchw", "channels_last"),
        ("backend", "tensorflow", "'cpu', 'reference'"),
    ],
)
def test_wrong_value_names_the_right_ones(setting, value, known):
    with pytest.raises(ValueError, match=known):
        getattr(config, f"set_{setting}")(value)


def test_the_policy_follows_floatx_until_it_is_set():
    config.set_floatx("float64")
    assert config.dtype_policy().name == "float64"
    config.set_dtype_policy("mixed_bfloat16")
    config.set_floatx("bfloat16")
    assert (config.floatx(), config.dtype_policy().name) == (
        "bfloat16",
        "mixed_bfloat16",
    )


@pytest.mark.parametrize(("name", "known"), [("reference", True), ("jax", False)])
def test_backend_from_the_environment(name, known):
    code = "from fastnn import config; print(config.backend())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"FASTNN_BACKEND": name, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if known:
        assert done.stdout.strip() == name
    else:
        assert "[FASTNN_BACKEND]" in done.stderr
        assert "'cpu', 'reference'" in done.stderr
