# SPDX-License-Identifier: Apache-2.0
"""The first neurons: truth tables, rules written out, and scikit-learn's checks."""

from __future__ import annotations

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.linear_model import Perceptron as Reference  # noqa: E402
from sklearn.model_selection import cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fastnn.classic import (  # noqa: E402
    Adaline,
    Madaline,
    McCullochPitts,
    Perceptron,
    heaviside,
    logic_net,
    sgn,
    truth_table,
)

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "float64"), np.array([0, 1, 1, 0])


def iris():
    x, y = load_iris(return_X_y=True)
    return x[:, (2, 3)], y


# ---- logic -------------------------------------------------------------------------


@pytest.mark.feature("1A-1")
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("identity", lambda a: a),
        ("and", lambda a, b: a and b),
        ("or", lambda a, b: a or b),
        ("and not", lambda a, b: a and not b),
        ("xor", lambda a, b: a != b),
    ],
)
def test_truth_tables(name, rule) -> None:
    for *inputs, output in truth_table(logic_net(name)):
        assert output == int(rule(*inputs)), inputs


def test_a_that_is_always_on_makes_not_b() -> None:
    net = logic_net("and not")
    assert net.predict([[1, 0], [1, 1]]).tolist() == [1, 0]


@pytest.mark.feature("1A-2", "1A-2b", "1A-11")
def test_networks_of_ones_own() -> None:
    both = ("C", ("A", "B"), ())
    net = McCullochPitts(["A", "B"], [both, ("D", ("C",), ())], threshold=1)
    assert truth_table(net)[:, -1].tolist() == [0, 1, 1, 1]
    assert net.activity([[1, 0]])["C"].tolist() == [1]
    first = clone(net).set_params(output="C", threshold=2)
    assert truth_table(first)[:, -1].tolist() == [0, 0, 0, 1]
    with pytest.raises(ValueError, match="gets signals from 'Z'"):
        McCullochPitts(["A"], [("C", ("Z",), ())]).fit()
    with pytest.raises(ValueError, match="two neurons are called 'C'"):
        McCullochPitts(["A"], [("C", ("A",), ())] * 2).fit()
    with pytest.raises(ValueError, match="inputs are 0 or 1"):
        net.predict([[2, 0]])
    with pytest.raises(ValueError, match="3 columns"):
        net.predict([[1, 0, 1]])


@pytest.mark.feature("1A-3")
def test_steps() -> None:
    z = [-2.0, 0.0, 3.0]
    assert heaviside(z).tolist() == [0, 1, 1]
    assert sgn(z).tolist() == [-1, 0, 1]


# ---- Perceptron --------------------------------------------------------------------


@pytest.mark.feature("1A-6")
def test_the_perceptron_separates_setosa() -> None:
    x, y = iris()
    found = Perceptron(random_state=0).fit(x, y == 0)
    assert found.errors_[0][-1] == 0 and found.score(x, y == 0) == 1
    reference = Reference().fit(x, (y == 0).astype(int))
    assert reference.predict([[2, 0.5]]).tolist() == [0]  # the textbook's number
    np.testing.assert_array_equal(found.predict(x), reference.predict(x) == 1)


@pytest.mark.feature("1A-5")
def test_the_perceptrons_rule() -> None:
    x, y = np.array([[1.0, 2.0], [-1.0, 0.5], [2.0, -3.0]]), np.array([0, 1, 1])
    w = np.zeros(3)
    for row, goal in zip(np.column_stack([np.ones(3), x]), y, strict=True):
        w += 0.5 * (goal - (row @ w >= 0)) * row
    found = Perceptron(0.5, max_iter=1, shuffle=False).fit(x, y)
    np.testing.assert_array_equal([*found.intercept_, *found.coef_[0]], w)


def test_no_line_separates_xor() -> None:
    found = Perceptron(max_iter=50, random_state=0).fit(*XOR)
    assert found.n_iter_ == 50 and found.score(*XOR) < 1


# ---- ADALINE -----------------------------------------------------------------------


def flowers():
    x, y = iris()
    return StandardScaler().fit_transform(x), (y == 0).astype(int)


@pytest.mark.feature("1A-7", "1A-10")
@pytest.mark.parametrize(("rule", "eta"), [("batch", 0.002), ("online", 0.001)])
def test_adaline_is_least_squares(rule, eta) -> None:
    x, y = flowers()
    found = Adaline(eta, rule, eps=1e-9, max_iter=20_000).fit(x, y)
    goals = np.where(y == 1, 1.0, -1.0)
    best = np.linalg.lstsq(np.column_stack([np.ones(len(x)), x]), goals, rcond=None)[0]
    got = [*found.intercept_, *found.coef_[0]]
    tolerance = 1e-3 if rule == "batch" else 0.02  # online circles around it
    np.testing.assert_allclose(got, best, atol=tolerance)
    np.testing.assert_array_equal(found.theta_, -found.intercept_)
    assert found.score(x, y) > 0.99


@pytest.mark.feature("1A-8")
@pytest.mark.parametrize("rule", ["batch", "online"])
def test_adalines_stopping_criterion(rule) -> None:
    x, y = flowers()
    found = Adaline(0.001, rule, eps=1e-3).fit(x, y)
    errors = found.errors_[0]
    steps = np.abs(np.diff([1.0, *errors]))
    assert steps[-1] <= 1e-3 and (steps[:-1] > 1e-3).all()
    assert found.n_iter_ == len(errors)


def test_the_online_rule() -> None:
    x, y = np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([0, 1])
    w = np.zeros(3)
    for row, goal in zip(np.column_stack([np.ones(2), x]), (-1.0, 1.0), strict=True):
        w += 0.1 * (goal - row @ w) * row
    with pytest.warns(ConvergenceWarning, match="still changes"):
        found = Adaline(0.1, max_iter=1, eps=0).fit(x, y)
    np.testing.assert_allclose([*found.intercept_, *found.coef_[0]], w)


def test_rates_that_are_too_large_are_named() -> None:
    x, y = flowers()
    with pytest.raises(ValueError, match=r"grows without bound with eta=0\.9"):
        Adaline(0.9, "batch").fit(x * 100, y)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Adaline(1.5).fit(x, y)
    with pytest.raises(ValueError, match="rule must be"):
        Adaline(rule="both").fit(x, y)


# ---- MADALINE ----------------------------------------------------------------------


@pytest.mark.feature("1A-9")
@pytest.mark.parametrize("vote", ["or", "and"])
def test_madaline_separates_xor(vote) -> None:
    found = Madaline(2, vote, random_state=0).fit(*XOR)
    assert found.errors_[-1] == 0 and found.score(*XOR) == 1
    assert found.coef_.shape == (2, 2)


def test_madaline_by_majority() -> None:
    x, y = flowers()
    found = Madaline(3, "majority", random_state=1).fit(x, y)
    assert found.score(x, y) == 1
    votes = (x @ found.coef_.T + found.intercept_ >= 0).sum(axis=1)
    np.testing.assert_array_equal(found.predict(x), votes >= 2)


def test_madalines_mistakes() -> None:
    with pytest.raises(ValueError, match="vote must be"):
        Madaline(vote="some").fit(*XOR)
    with pytest.raises(ValueError, match="3 classes"):
        Madaline().fit(*iris())
    with pytest.raises(ValueError, match="one unit or more"):
        Madaline(0).fit(*XOR)


# ---- as estimators -----------------------------------------------------------------


@pytest.mark.parametrize(("cls", "passes"), [(Perceptron, 100), (Adaline, 3000)])
def test_three_classes_and_pipelines(cls, passes) -> None:
    x, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipe = make_pipeline(StandardScaler(), cls(0.01, random_state=0, max_iter=passes))
    assert cross_val_score(pipe, x, names, cv=3).min() > 0.7
    found = pipe.fit(x, names)
    assert found[-1].decision_function(x).shape == (150, 3)
    assert set(found.predict(x)) == set(names)


@pytest.mark.parametrize(
    "estimator",
    [Perceptron(max_iter=20), Adaline(1e-6, "batch"), Madaline(max_iter=3, restarts=0)],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks(estimator) -> None:
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    results = checks.check_estimator(estimator, on_fail=None)
    failed = {
        r["check_name"]: r["exception"] for r in results if r["status"] == "failed"
    }
    assert failed == {}
