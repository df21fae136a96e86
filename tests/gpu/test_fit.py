# SPDX-License-Identifier: Apache-2.0
"""`fit`, `evaluate`, `predict` and `function` on a real device; skipped without one."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_models import CASES, train

import fastnn
from fastnn.backends.cuda.device import device
from fastnn.errors import BackendError

pytestmark = pytest.mark.gpu


@pytest.fixture
def on_gpu():
    try:
        device()
    except BackendError as error:
        pytest.skip(str(error))
    fastnn.config.set_backend("cuda")
    yield
    fastnn.config.set_backend("cpu")


@pytest.mark.parametrize("name", CASES)
def test_fit_equals_that_of_the_cpu(name, on_gpu) -> None:
    found = train(name, epochs=100 // 3)
    fastnn.config.set_backend("cpu")
    expected = train(name, epochs=100 // 3)
    np.testing.assert_allclose(found[0][:10], expected[0][:10], rtol=1e-4)
    np.testing.assert_allclose(found[2], expected[2], rtol=2e-2, atol=2e-3)


def test_function_runs_on_the_device(on_gpu) -> None:
    @fastnn.function
    def f(x, w):
        return fastnn.ops.softmax(fastnn.ops.matmul(x, w))

    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype("float32") for s in ((5, 7), (7, 3)))
    z = np.exp(x.astype("float64") @ w)
    np.testing.assert_allclose(f(x, w), z / z.sum(1, keepdims=True), rtol=1e-5)
