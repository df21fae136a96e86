# SPDX-License-Identifier: Apache-2.0
"""Several inputs and outputs through fit, evaluate and predict, against Keras.

tools/record_keras_functional.py recorded what Keras 3 makes of the same models from
the same weights.
"""

from __future__ import annotations

import json

import functional_cases as cases
import numpy as np
import pytest

from fastnn import keras
from fastnn.keras import layers
from fastnn.models.steps import StepRunner

GOLDEN = json.loads(cases.GOLDEN.read_text())


def assert_native(model, *kinds):
    """The steps ran as plans: nothing fell back to Python."""
    runner = model._get_runner()
    assert isinstance(runner, StepRunner) and runner._eager is None
    for kind in kinds:
        assert runner.plan(kind) is not None


@pytest.mark.parametrize("name", cases.CASES)
def test_trains_as_keras_does(name, eager):
    want = GOLDEN[name]
    case = cases.CASES[name](keras)
    assert [layer.name for layer in case.model.layers] == want["layers"]
    got = cases.train(keras, case, run_eagerly=eager)
    assert got["paths"] == want["paths"]
    assert got["structure"] == want["structure"]
    for what in ("history", "named"):
        assert sorted(got[what]) == sorted(want[what])
        for key, value in want[what].items():
            np.testing.assert_allclose(
                got[what][key], value, rtol=1e-5, atol=1e-6, err_msg=key
            )
    for what in ("evaluate", "predict", "weights"):
        assert len(got[what]) == len(want[what])
        for mine, theirs in zip(got[what], want[what], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=2e-6)
    if not eager:
        assert_native(case.model, "train", "test", "predict")


def small():
    """Two inputs, two outputs; the initial weights are the same in every call."""
    case = cases.two_ends(keras)
    cases.start(case.model)
    return case


def compiled(case, eager=False, **options):
    given = {**case.compile, **options}
    case.model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager, **given)
    return case.model


class TestForms:
    """Every way of handing over the same data does the same."""

    def history(self, eager=False, **fit):
        case = small()
        model = compiled(case, eager)
        given = {"x": case.x, "y": case.y, "sample_weight": case.sample_weight, **fit}
        given = {"batch_size": cases.BATCH, **given}
        if not isinstance(given["x"], (list, tuple, dict)):
            given = {"x": given["x"], "steps_per_epoch": 6}
        history = model.fit(epochs=2, shuffle=False, verbose=0, **given).history
        if not eager:
            assert_native(model, "train")
        return history

    @pytest.fixture
    def plain(self):
        return self.history()

    def batches(self, case):
        for start in (0, 4, 8, 12, 16, 20) * 2:
            rows = slice(start, start + 4)
            x = [a[rows] for a in case.x]
            y, w = [a[rows] for a in case.y], [a[rows] for a in case.sample_weight]
            yield x, y, w

    @pytest.mark.feature("4D-46")
    @pytest.mark.parametrize(
        "form",
        [
            lambda x, y, w: ({"b": x[1], "a": x[0]}, tuple(y), w),
            lambda x, y, w: (tuple(x), {"label": y[1], "value": y[0]}, w),
            lambda x, y, w: (x, y, {"label": w[1], "value": w[0]}),
            lambda x, y, w: (x, [y[0][:, 0], y[1][:, None]], [w[0][:, None], w[1]]),
            lambda x, y, w: ([np.asfortranarray(x[0]), x[1].astype("float64")], y, w),
        ],
    )
    def test_structures(self, form, plain):
        case = small()
        x, y, w = form(case.x, case.y, case.sample_weight)
        assert self.history(x=x, y=y, sample_weight=w) == plain

    def test_generators(self, plain, eager):
        case = small()
        for dicts in (False, True):
            source = (
                ({"a": x[0], "b": x[1]}, {"value": y[0], "label": y[1]}, w)
                if dicts
                else (tuple(x), tuple(y), tuple(w))
                for x, y, w in self.batches(case)
            )
            got = self.history(eager, x=source)
            assert got.keys() == plain.keys()
            for key, values in plain.items():
                np.testing.assert_allclose(got[key], values, rtol=1e-5)

    def test_single_batches(self, eager):
        case = small()
        model = compiled(case, eager)
        names = "label_accuracy label_loss loss value_loss value_mae".split()
        seen, sizes = {name: [] for name in names}, []
        for x, y, w in list(self.batches(case))[:6]:
            got = model.train_on_batch(x, y, w, return_dict=True)
            assert sorted(got) == names
            sizes.append(len(w[0]))
            for name in names:
                seen[name].append(got[name])
        expected = GOLDEN["two_ends"]["history"]
        for name in names:  # of each batch alone, so the epoch's is their mean
            mean = np.average(seen[name], weights=sizes)
            np.testing.assert_allclose(mean, expected[name][0], rtol=1e-5)
        values = model.test_on_batch(case.x, case.y, case.sample_weight)
        assert len(values) == 5
        if not eager:
            assert_native(model, "train", "test")

    def test_one_weight_for_all_outputs(self):
        w = small().sample_weight[0]
        assert self.history(sample_weight=w) == self.history(sample_weight=[w, w])

    def test_a_weight_for_one_output_only(self):
        w = small().sample_weight
        ones = np.ones_like(w[0])
        want = self.history(sample_weight=[w[0], ones])
        for given in ([w[0], None], {"value": w[0]}):
            got = self.history(sample_weight=given)
            for key, values in want.items():
                np.testing.assert_allclose(got[key], values, rtol=1e-5)

    def test_validation_data_gets_the_same_names(self, eager):
        case = small()
        model = compiled(case, eager)
        history = model.fit(
            case.x, case.y, validation_split=0.3, batch_size=4, verbose=0
        ).history
        plain = [name for name in history if not name.startswith("val_")]
        assert sorted(history) == sorted([*plain, *(f"val_{n}" for n in plain)])
        assert len(plain) == 5


class TestClassWeight:
    def test_equals_sample_weights(self, eager):
        case = cases.siamese(keras)
        cases.start(case.model)
        model = compiled(case, eager)
        first = model.fit(
            case.x, case.y, class_weight={0: 0.5, 1: 2.0}, shuffle=False, verbose=0
        ).history
        cases.start(model)
        compiled(case, eager)
        weights = np.where(case.y == 1, 2.0, 0.5).astype("float32")
        second = model.fit(
            case.x, case.y, sample_weight=weights, shuffle=False, verbose=0
        ).history
        assert first == second

    def test_needs_one_output(self):
        case = small()
        with pytest.raises(ValueError, match="needs one array of labels"):
            compiled(case).fit(case.x, case.y, class_weight={0: 1.0}, verbose=0)


def two_of_one(eager=False, q_shape=1, **options):
    """One input, outputs p and q; (model, x, y), where y fits p."""
    x = keras.Input((4,))
    p = keras.layers.Dense(1, name="p")(x)
    q = keras.layers.Dense(q_shape, name="q")(x)
    model = keras.Model(x, [p, q])
    model.compile("sgd", run_eagerly=eager, **options)
    data = small().x[0]
    return model, data, data[:, :1]


class TestOutputsWithoutALoss:
    @pytest.mark.parametrize("metrics", [None, [["mae"], []]])
    def test_a_list_may_leave_out_their_targets(self, eager, metrics):
        model, x, y = two_of_one(eager, loss=["mse", None], metrics=metrics)
        errors = model.predict(x, verbose=0)[0] - y
        got = model.evaluate(x, [y], verbose=0, return_dict=True)
        assert got["loss"] == pytest.approx((errors**2).mean(), rel=1e-5)
        if metrics:
            assert got["p_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
        model.get_layer("q").trainable = False  # nothing would train it
        model.fit(x, [y], sample_weight=[np.ones(len(x))], verbose=0)
        model.train_on_batch(x, [y])

    def test_their_metrics_never_see_the_targets_of_others(self, eager):
        options = {"loss": ["mse", None], "metrics": [[], ["mae"]]}
        model, x, y = two_of_one(eager, **options)
        with pytest.raises(ValueError, match=r"metric 'mae' needs .* none for 'q'"):
            model.evaluate(x, [y], verbose=0)
        errors = model.predict(x, verbose=0)[1] - 3.0
        got = model.evaluate(x, [y, 0 * y + 3], verbose=0, return_dict=True)
        assert got["q_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)


class TestNestedOutputs:
    def test_targets_in_the_structure_of_the_outputs(self, eager):
        def run(structure, y):
            keras.utils.set_random_seed(1)
            x = keras.Input((4,))
            ends = [keras.layers.Dense(1, name=f"o{i}")(x) for i in range(3)]
            model = keras.Model(x, structure(ends))
            model.compile("sgd", "mse", run_eagerly=eager)
            data = small().x[0]
            y = y([data[:, i : i + 1] for i in range(3)])
            history = model.fit(data, y, epochs=2, shuffle=False, verbose=0).history
            return history["loss"]

        def nested(o):
            return {"p": o[:2], "q": o[2]}

        want = run(list, list)
        assert run(nested, nested) == want
        assert run(nested, lambda o: {"q": o[2], "p": tuple(o[:2])}) == want
        assert run(nested, list) == want


class TestErrors:
    def test_outputs_without_targets_are_named(self):
        model, x, y = two_of_one(loss="mse")
        with pytest.raises(ValueError, match=r"y has none for 'q'\. Outputs: p, q"):
            model.fit(x, {"p": y}, verbose=0)

    def test_the_method_that_failed_is_named(self):
        model, x, y = two_of_one(loss="mse")
        for method in (model.evaluate, model.train_on_batch, model.fit):
            name = method.__name__
            with pytest.raises(ValueError, match=rf"^\[{name}\] .* y has 1 arrays"):
                method(x, [y])
            with pytest.raises(ValueError, match=rf"^\[{name}\] y names no output: r"):
                method(x, {"p": y, "r": y})
            with pytest.raises(
                ValueError, match=rf"^\[{name}\] .* sample_weight has 3"
            ):
                method(x, [y, y], sample_weight=[np.ones(len(x))] * 3)

    def test_the_output_that_does_not_fit_is_named(self, eager):
        model, x, y = two_of_one(eager, q_shape=3, loss="mse")
        with pytest.raises(ValueError, match=r"output 'q'\] (.|\n)*\(\d+, 2\)"):
            model.fit(x, [y, np.ones((len(x), 2))], verbose=0)
        with pytest.raises(ValueError, match=r"^\[fit: output 'q'\] y is NaN in row 0"):
            model.fit(x, [y, np.full((len(x), 3), np.nan)], verbose=0)

    def test_targets(self):
        case = small()
        model = compiled(case)
        with pytest.raises(ValueError, match="2 outputs, y has 1 arrays"):
            model.fit(case.x, case.y[0], verbose=0)
        with pytest.raises(ValueError, match="y names no output: labels"):
            model.fit(case.x, {"labels": case.y[1], "value": case.y[0]}, verbose=0)
        with pytest.raises(ValueError, match="'mean_squared_error' needs targets"):
            model.fit(case.x, {"label": case.y[1]}, verbose=0)
        wrong = case.y[1].copy()
        wrong[1] = 3
        with pytest.raises(ValueError, match="label 3 in row 1 is not a class"):
            model.fit(case.x, [case.y[0], wrong], verbose=0)

    def test_names_of_losses_and_metrics(self):
        case = small()
        with pytest.raises(ValueError, match="loss names no output: x"):
            compiled(case, loss={"x": "mse"}).fit(case.x, case.y, verbose=0)
        with pytest.raises(ValueError, match="list of 2 lists, or as a dict by output"):
            compiled(case, metrics=["mae"]).fit(case.x, case.y, verbose=0)


class TestCompile:
    def test_metric_objects_keep_their_own_names(self):
        case = small()
        mine = keras.metrics.MeanAbsoluteError(name="mine")
        for _ in range(2):
            compiled(case, metrics={"value": [mine]}).fit(case.x, case.y, verbose=0)
            assert mine.name == "mine"
            names = ["loss", "value_loss", "label_loss", "value_mine"]
            assert case.model.metrics_names == names

    def test_one_metric_object_for_two_outputs_has_both_names(self, eager):
        x = keras.Input((4,))
        p, q = (keras.layers.Dense(1, name=name)(x) for name in "pq")
        model = keras.Model(x, [p, q])
        both = keras.metrics.MeanAbsoluteError(name="mae")
        metrics = {"p": [both, "mse"], "q": [both]}
        model.compile("sgd", "mse", metrics=metrics, run_eagerly=eager)
        data = small().x[0]
        got = model.evaluate(data, [data[:, :1]] * 2, verbose=0, return_dict=True)
        names = ["loss", "p_loss", "q_loss", "p_mae", "p_mse", "q_mae"]
        assert sorted(got) == sorted(names)
        assert model.metrics_names == names
        errors = np.array(model.predict(data, verbose=0)) - data[:, :1]
        assert got["p_mae"] == got["q_mae"]
        assert got["q_mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
        assert got["p_mse"] == pytest.approx((errors[0] ** 2).mean(), rel=1e-5)
        values = model.evaluate(data, [data[:, :1]] * 2, verbose=0)
        assert values == pytest.approx([got[name] for name in names], rel=1e-6)

    def test_trainable_flags_after_compile(self, eager):
        case = small()
        model = compiled(case, eager)
        model.fit(case.x, case.y, verbose=0)
        left = model.get_layer("left")
        left.trainable = False
        before = [w.numpy() for w in model.weights]
        compiled(case, eager).fit(case.x, case.y, verbose=0)
        frozen = {id(w) for w in left.weights}
        for weight, old in zip(model.weights, before, strict=True):
            same = bool((weight.numpy() == old).all())
            assert same == (id(weight) in frozen)
        model.trainable = False
        assert model.trainable_weights == []

    def test_metrics_held_by_layers(self, eager):
        class Watching(keras.layers.Layer):
            def __init__(self, **kwargs):
                super().__init__(**kwargs)
                self.size = keras.metrics.Mean(name="size")

            def call(self, inputs):
                self.size.update_state(keras.ops.abs(inputs))
                return inputs

        x = keras.Input((4,))
        model = keras.Model(x, keras.layers.Dense(1)(Watching()(x)))
        model.compile("sgd", "mse", run_eagerly=eager)
        data = np.arange(32, dtype="float32").reshape(8, 4)
        history = model.fit(data, data[:, :1], batch_size=4, verbose=0).history
        np.testing.assert_allclose(history["size"], [data.mean()], rtol=1e-6)

    def test_only_losses_of_layers(self, eager):
        class Reconstruct(keras.layers.Layer):
            def call(self, inputs):
                x, y = inputs
                self.add_loss(keras.ops.mean(keras.ops.square(x - y)))
                return y

        x = keras.Input((4,))
        y = Reconstruct()([x, keras.layers.Dense(4, use_bias=False)(x)])
        model = keras.Model(x, y)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager)
        data = small().x[0]
        first, *_, last = model.fit(data, epochs=20, verbose=0).history["loss"]
        assert last < first / 2
        want = np.mean((model.predict(data, verbose=0) - data) ** 2)
        assert model.evaluate(data, verbose=0) == pytest.approx(want, rel=1e-5)
        if not eager:
            assert_native(model, "train", "test")


class TestPlans:
    def test_a_chain_has_the_plan_of_the_sequential(self):
        def plan(kind):
            chosen = [
                keras.layers.Dense(8, activation="relu", name="one"),
                keras.layers.Dense(3, activation="softmax", name="two"),
            ]
            x = y = keras.Input((4,), name="x")
            for layer in chosen:
                y = layer(y)
            model = keras.Model(x, y, name="m")
            if kind == "sequential":
                model = keras.Sequential([x, *chosen], name="m")
            optimizer = keras.optimizers.Adam(name="adam")
            model.compile(optimizer, "sparse_categorical_crossentropy")
            case = small()
            model.fit(case.x[0], case.y[1], batch_size=4, verbose=0)
            return model._get_runner().plan("train").summary()

        assert plan("functional") == plan("sequential")

    def test_images_tokens_and_merges(self):
        def train(eager):
            layers = keras.layers
            image = keras.Input((6, 6, 2), name="image")
            tokens = keras.Input((5,), dtype="int32", name="tokens")
            h = layers.Conv2D(3, 3, padding="same", activation="relu")(image)
            r = layers.Conv2D(3, 3, padding="same")(layers.BatchNormalization()(h))
            h = layers.GlobalAveragePooling2D()(layers.Add()([h, r]))
            e = layers.Flatten()(layers.Embedding(9, 2)(tokens))
            z = layers.Concatenate()([h, e])
            out = layers.Dense(1, name="out")(z)
            model = keras.Model([image, tokens], [out, z], name="mixed")
            cases.start(model)
            model.compile(
                keras.optimizers.SGD(0.05),
                ["mse", None],
                metrics=[["mae"], None],
                run_eagerly=eager,
            )
            rng = np.random.default_rng(0)
            images = rng.integers(0, 4, (22, 6, 6, 2)).astype("uint8")
            x = {"image": images, "tokens": rng.integers(0, 9, (22, 5))}
            y = {"out": rng.normal(size=22)}
            history = model.fit(
                x, y, batch_size=4, epochs=3, shuffle=False, verbose=0
            ).history
            if not eager:
                assert_native(model, "train")
            return history

        native, eager = train(False), train(True)
        assert native.keys() == eager.keys() == {"loss", "out_mae"}
        for name, values in native.items():
            np.testing.assert_allclose(values, eager[name], rtol=2e-5)


def test_order_of_values_is_that_of_keras():
    """The loss, losses of outputs, metrics of outputs by name."""
    x = keras.Input((3,))
    z, a = layers.Dense(1, name="z")(x), layers.Dense(2, "softmax", name="a")(x)
    model = keras.Model(x, [z, a])
    mae = {"z": ["mse", "mae"], "a": "accuracy"}
    model.compile("sgd", ["mse", "categorical_crossentropy"], metrics=mae)
    zeros = np.zeros((4, 3)), [np.zeros((4, 1)), np.eye(2)[[0, 1, 0, 1]]]
    values = model.evaluate(*zeros, verbose=0)
    logs = model.evaluate(*zeros, verbose=0, return_dict=True)
    order = "loss z_loss a_loss a_accuracy z_mae z_mse".split()
    assert values == [logs[name] for name in order] and len(logs) == len(order)


def test_metrics_of_a_compiled_part_are_its_own():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    inner.compile("sgd", "mse", metrics=["mae"])
    inner.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    outer = keras.Sequential([inner, layers.Dense(1)])
    outer.compile("sgd", "mse")
    x, y = np.ones((4, 3)), np.full((4, 1), 3.0)
    expected = np.mean((outer.predict(x, verbose=0) - y) ** 2)
    assert [metric.name for metric in outer.metrics] == ["loss"]
    assert outer.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert outer.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("reduction", "expected"),  # by Keras 3.15
    [("sum_over_batch_size", 1.9166666), ("sum", 2.6666667), (None, 1.6)],
)
def test_a_loss_as_a_metric_is_the_mean_of_its_batches(reduction, expected):
    model = keras.Sequential([layers.Dense(1, kernel_initializer="zeros")])
    huber = keras.losses.Huber(reduction=reduction)
    model.compile("sgd", "mse", metrics=[huber, "mae"])
    x, y = np.eye(3)[[0, 1, 2, 0, 1]], np.arange(5.0)[:, None]
    logs = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    assert logs["huber_loss"] == pytest.approx(expected, rel=1e-6)
    assert logs["mae"] == pytest.approx(2.0)


def test_a_weighted_loss_as_a_metric_has_the_weighted_batches():
    model = keras.Sequential([layers.Dense(1, kernel_initializer="zeros")])
    mae = keras.losses.MeanAbsoluteError()
    model.compile("sgd", "mse", weighted_metrics=[mae])
    x, y, weights = np.eye(3), np.arange(3.0)[:, None], np.array([1.0, 2.0, 3.0])
    logs = model.evaluate(x, y, 2, 0, sample_weight=weights, return_dict=True)
    # (0 + 2 * 1) / 2 and 3 * 2 / 1: the loss of a batch is divided by its size
    assert logs["mean_absolute_error"] == pytest.approx((1 + 6) / 2)
