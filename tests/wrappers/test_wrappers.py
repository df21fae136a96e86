# SPDX-License-Identifier: Apache-2.0
"""Models as estimators of scikit-learn: Keras 3's wrappers and those of Keras 2."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import keras

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
Y = X @ [1.0, -2.0, 0.5] + 3
IRIS, KINDS = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
QUIET = {"epochs": 60, "verbose": 0}


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def linear(X, y, rate=0.05):
    model = keras.Sequential([keras.Input(X.shape[1:]), L.Dense(y.shape[1])])
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def softmax(X, y):
    dense = L.Dense(y.shape[1], activation="softmax")
    model = keras.Sequential([keras.Input(X.shape[1:]), dense])
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    return model


class TestEstimators:
    def test_a_linear_model_is_least_squares(self) -> None:
        found = keras.wrappers.SKLearnRegressor(linear, fit_kwargs=QUIET)
        found.fit(X, Y, epochs=400)
        best = LinearRegression().fit(X, Y)
        np.testing.assert_allclose(found.predict(X), best.predict(X), atol=0.02)
        assert found.score(X, Y) > 0.999
        assert len(found.history_.epoch) == 400 and found.fit_kwargs == QUIET
        two = np.stack([Y, -Y], axis=1)
        assert found.fit(X, two, epochs=1).predict(X).shape == (120, 2)

    @pytest.mark.feature("1B-3")
    def test_a_classifier_in_a_pipeline(self) -> None:
        found = keras.wrappers.SKLearnClassifier(softmax, fit_kwargs=QUIET)
        pipe = make_pipeline(StandardScaler(), found)
        plain = make_pipeline(StandardScaler(), LogisticRegression())
        scores = [cross_val_score(p, IRIS, NAMES, cv=3).mean() for p in (pipe, plain)]
        assert abs(scores[0] - scores[1]) < 0.03
        pipe.fit(IRIS, NAMES)
        assert list(pipe.classes_) == ["setosa", "versicolor", "virginica"]
        chances = pipe.decision_function(IRIS)
        np.testing.assert_array_equal(
            pipe.predict(IRIS), pipe.classes_[chances.argmax(1)]
        )

    def test_a_transformer_gives_features(self) -> None:
        found = keras.wrappers.SKLearnTransformer(linear, fit_kwargs=QUIET)
        features = found.fit_transform(X, Y[:, None])
        assert features.shape == (120, 1)
        after = make_pipeline(found, LinearRegression()).fit(X, Y)
        assert after.score(X, Y) > 0.99

    def test_a_given_model_is_copied_unless_warm(self) -> None:
        model = linear(X, Y[:, None])
        before = model.get_weights()
        cold = keras.wrappers.SKLearnRegressor(model, fit_kwargs=QUIET).fit(X, Y)
        assert cold.model_ is not model
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        warm = keras.wrappers.SKLearnRegressor(model, True, fit_kwargs=QUIET)
        first = warm.fit(X, Y).history_.history["loss"]
        again = warm.fit(X, Y).history_.history["loss"]
        assert warm.model_ is model and again[0] < 1.2 * first[-1] < first[0]

    def test_clones_keep_everything_and_share_no_model(self) -> None:
        model = linear(X, Y[:, None])
        own = clone(keras.wrappers.SKLearnRegressor(model, False, None, QUIET))
        assert own.model is not model and own.fit_kwargs == QUIET
        made = clone(keras.wrappers.SKLearnRegressor(linear, True, {"rate": 0.1}))
        assert (made.model, made.warm_start) == (linear, True)
        assert made.model_kwargs == {"rate": 0.1}

    def test_images(self) -> None:
        pictures = RNG.normal(size=(20, 4, 4, 1))

        def network(X, y):
            parts = [keras.Input(X.shape[1:]), L.Flatten(), L.Dense(1)]
            model = keras.Sequential(parts)
            model.compile("sgd", "mse")
            return model

        found = keras.wrappers.SKLearnRegressor(network, fit_kwargs={"verbose": 0})
        assert found.fit(pictures, Y[:20]).predict(pictures).shape == (20,)

    @pytest.mark.parametrize(
        ("write", "error", "message"),
        [
            (
                lambda: keras.wrappers.SKLearnRegressor(
                    lambda X, y: keras.Sequential([L.Dense(1)])
                ).fit(X, Y),
                RuntimeError,
                r"must be compiled .* model.compile\(",
            ),
            (
                lambda: keras.wrappers.SKLearnClassifier(softmax).fit(X, Y),
                ValueError,
                "Only binary and multiclass .* Received continuous targets",
            ),
            (
                lambda: keras.wrappers.SKLearnClassifier(softmax).fit(X, [1] * 120),
                ValueError,
                "only one class is present",
            ),
        ],
    )
    def test_mistakes(self, write, error, message) -> None:
        with pytest.raises(error, match=message):
            write()

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize(
        ("kind", "make"),
        [("SKLearnRegressor", linear), ("SKLearnClassifier", softmax)],
    )
    def test_scikit_learns_own_checks(self, kind, make) -> None:
        found = getattr(keras.wrappers, kind)(
            make, fit_kwargs={"verbose": 0, "epochs": 20}
        )
        results = estimator_checks.check_estimator(found, on_fail=None)
        failed = {
            r["check_name"]: repr(r["exception"])
            for r in results
            if r["status"] == "failed"
        }
        assert set(failed) <= set(ALLOWED), failed


# What Keras's own wrappers fail, too.
ALLOWED = {
    "check_fit_idempotent": "a second fit begins from other weights",
    "check_supervised_y_2d": "a second fit begins from other weights",
    "check_classifier_data_not_an_array": "a second fit begins from other weights",
    "check_regressor_data_not_an_array": "a second fit begins from other weights",
    "check_regressors_int": "a second fit begins from other weights",
    "check_classifiers_train": "decision_function is the model's outputs, (n, 2)",
    "check_classifiers_classes": "decision_function is the model's outputs, (n, 2)",
    "check_classifiers_one_label_sample_weights": "rows of weight 0 still are a class",
}


def build_model(n_hidden=1, n_neurons=30, learning_rate=3e-3, input_shape=(3,)):
    model = keras.models.Sequential()
    options = {"input_shape": list(input_shape)}
    for _ in range(n_hidden):
        model.add(L.Dense(n_neurons, activation="relu", **options))
        options = {}
    model.add(L.Dense(1, **options))
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate))
    return model


@pytest.mark.filterwarnings("ignore:keras.wrappers.scikit_learn:FutureWarning")
class TestOldWrappers:
    def test_the_old_name_names_the_new_one(self) -> None:
        with pytest.warns(FutureWarning, match="write keras.wrappers.SKLearnRegressor"):
            keras.wrappers.scikit_learn.KerasRegressor(build_model)

    def test_fit_predict_and_score(self) -> None:
        from fastnn.keras.wrappers.scikit_learn import KerasRegressor

        found = KerasRegressor(build_model, n_neurons=10, verbose=0)
        stopping = keras.callbacks.EarlyStopping(patience=3)
        history = found.fit(
            X[:80],
            Y[:80],
            epochs=50,
            validation_data=(X[80:100], Y[80:100]),
            callbacks=[stopping],
        )
        assert "val_loss" in history.history and found.model.layers[0].units == 10
        assert found.predict(X[100:]).shape == (20,)
        loss = found.model.evaluate(X[100:], Y[100:], verbose=0)
        assert found.score(X[100:], Y[100:]) == -loss

    @pytest.mark.feature("1B-27", "4D-60")
    def test_a_randomized_search_finds_the_rate_that_learns(self) -> None:
        found = keras.wrappers.scikit_learn.KerasRegressor(build_model, verbose=0)
        choices = {"n_hidden": [1], "learning_rate": [1e-7, 1e-2], "n_neurons": [20]}
        search = RandomizedSearchCV(found, choices, n_iter=2, cv=3, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, Y, epochs=15, validation_data=(X, Y))
        assert search.best_params_["learning_rate"] == 1e-2
        assert search.best_score_ < 0
        best = search.best_estimator_.model
        assert isinstance(best, keras.Model) and best.layers[0].units == 20

    @pytest.mark.parametrize(
        ("loss", "units"),
        [
            ("sparse_categorical_crossentropy", 3),
            ("categorical_crossentropy", 3),
            ("binary_crossentropy", 1),
        ],
    )
    def test_a_classifier(self, loss, units) -> None:
        def build(rate=0.05):
            last = "sigmoid" if units == 1 else "softmax"
            parts = [keras.Input((4,)), L.Dense(units, activation=last)]
            model = keras.Sequential(parts)
            model.compile(keras.optimizers.Adam(rate), loss)
            return model

        rows = NAMES != "virginica" if units == 1 else slice(None)
        x, y = IRIS[rows], NAMES[rows]
        found = keras.wrappers.scikit_learn.KerasClassifier(build, epochs=60, verbose=0)
        found.fit(x, y)
        assert set(found.predict(x)) == set(y) == set(found.classes_)
        assert found.predict_proba(x).shape == (len(x), len(found.classes_))
        assert found.score(x, y) == np.mean(found.predict(x) == y) > 0.9

    def test_one_hot_targets(self) -> None:
        def build():
            return softmax(IRIS, np.eye(3))

        found = keras.wrappers.scikit_learn.KerasClassifier(build, epochs=60, verbose=0)
        found.fit(IRIS, np.eye(3)[KINDS])
        assert found.score(IRIS, np.eye(3)[KINDS]) > 0.9
        assert set(found.predict(IRIS)) == {0, 1, 2}

    def test_names_that_nobody_takes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'n_neuron' is no argument of build_mod"):
            keras.wrappers.scikit_learn.KerasRegressor(build_model, n_neuron=3)

        def anything(**options):
            return build_model(**options)

        made = keras.wrappers.scikit_learn.KerasRegressor(anything, n_neurons=3)
        made.fit(X, Y, verbose=0)
        assert made.model.layers[0].units == 3
        assert clone(made).get_params() == made.get_params()
        assert made.set_params(n_neurons=4).get_params()["n_neurons"] == 4
