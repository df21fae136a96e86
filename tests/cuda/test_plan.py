# SPDX-License-Identifier: Apache-2.0
"""Graphs on a device give what plans of the CPU give: whole training steps."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice
from cuda_models import CASES, train

from fastnn.graph.device_plan import DevicePlan
from fastnn.models import steps as model_steps


@pytest.mark.parametrize("name", CASES)
def test_fit_on_a_device_equals_fit_on_the_cpu(name, monkeypatch) -> None:
    expected = train(name)
    plans = []
    device = EmulatedDevice()

    def plan(graph, *, planned):
        plans.append(DevicePlan(graph, device))
        return plans[-1]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    found = train(name)
    assert plans, "nothing ran on the device"
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-5)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(found[2], expected[2], rtol=2e-4, atol=2e-5)
