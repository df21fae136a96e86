# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: graphs are verified after every pass, gradients counted."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _verified_graphs():
    from fastnn.graph import spec

    before, spec.CHECK = spec.CHECK, True
    yield
    spec.CHECK = before


@pytest.fixture(scope="session", autouse=True)
def _terminal_of_80_columns():
    """Tables and bars are as long as the terminal allows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        yield


# Gradients compared with differences: one number for each order of each case.
GRADIENT_CASES = 5_000
_compared = pytest.StashKey[dict[int, int]]()


@pytest.fixture
def gradient_case(request: pytest.FixtureRequest):
    """`gradient_case(order)` counts one gradient that was compared."""
    counts = request.config.stash.setdefault(_compared, {})

    def count(order: int) -> None:
        counts[order] = counts.get(order, 0) + 1

    return count


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    counts = config.stash.get(_compared, {})
    if counts:
        orders = ", ".join(f"order {k}: {n}" for k, n in sorted(counts.items()))
        terminalreporter.write_line(
            f"gradients compared with differences: {sum(counts.values())} ({orders}); "
            f"all tests together must reach {GRADIENT_CASES}"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Too few gradients in a run of all tests that compare them is a failure."""
    files = {item.path.name for item in session.items}
    whole = {"test_gradients.py", "test_composites.py"} <= files
    chosen = session.config.option.keyword or session.config.option.markexpr
    counts = session.config.stash.get(_compared, {})
    few = sum(counts.values()) < GRADIENT_CASES
    if whole and few and not chosen and not session.testsfailed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
