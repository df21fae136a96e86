# SPDX-License-Identifier: Apache-2.0
"""Rows of items.txt, part 2.1: calls of keras and keras.models as a user types them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("float32")
LABELS = np.arange(64) % 3


def wide_and_deep(outputs: int = 1, **names: str) -> Any:
    input_ = L.Input(shape=X.shape[1:], name=names.get("input"))
    hidden = L.Dense(6, activation="relu")(input_)
    both = L.concatenate([input_, hidden])
    ends = [L.Dense(1, name=name)(both) for name in ("output", "aux_output")]
    return keras.Model(inputs=[input_], outputs=ends[:outputs])


def compiled(**options: Any) -> Any:
    model = wide_and_deep()
    model.compile(loss="mse", optimizer="sgd", **options)
    return model


def huber_fn(y_true: Any, y_pred: Any) -> Any:
    error = y_true - y_pred
    small = tf.abs(error) < 1
    return tf.where(small, tf.square(error) / 2, tf.abs(error) - 0.5)


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = tf.abs(y_true - y_pred)
        linear = self.threshold * error - self.threshold**2 / 2
        return tf.where(error < self.threshold, tf.square(error) / 2, linear)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


@pytest.mark.feature("2.1-1")
def test_the_version_is_text_of_numbers_and_points() -> None:
    assert keras.__version__.replace(".", "").isdigit()


@pytest.mark.feature("2.1-2", "2.9-13")
def test_both_spellings_of_model_and_lists_or_none() -> None:
    input_ = L.Input(shape=[8])
    output = L.Dense(1)(input_)
    assert keras.models.Model is keras.Model
    for inputs, outputs in (([input_], [output]), (input_, output), ([input_], output)):
        model = keras.models.Model(inputs=inputs, outputs=outputs)
        assert model.predict(X, verbose=0).shape == (64, 1)

    class Own(keras.models.Model):
        def __init__(self, units: int = 3, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.hidden, self.main = L.Dense(units), L.Dense(1)

        def call(self, inputs: Any) -> Any:
            return self.main(self.hidden(inputs))

    own = Own(name="own")
    own.compile(loss="mse", optimizer="sgd")
    own.fit(X, Y, verbose=0)
    assert isinstance(own, keras.Model) and own.count_params() == 27 + 4


@pytest.mark.feature("2.1-3", "2.1-4", "2.1-6")
def test_sequential_by_add_by_list_and_of_another_models_layers() -> None:
    options = {"input_shape": [8]}
    model = keras.models.Sequential()
    model.add(L.Dense(4, **options))
    model.add(L.Dense(3, activation="softmax"))
    reused = keras.models.Sequential(model.layers[:-1])
    reused.add(L.Dense(1, activation="sigmoid"))
    assert reused.layers[0] is model.layers[0] and reused.output_shape == (None, 1)
    clone = keras.models.clone_model(model)
    assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(X), model(X))


@pytest.mark.feature("2.1-5", "2.1-15", "2.1-16")
@pytest.mark.parametrize("as_path", [False, True])
@pytest.mark.parametrize("loss", [huber_fn, HuberLoss(2.0)])
def test_save_and_load_with_custom_objects(loss: Any, as_path: bool, tmp_path) -> None:
    model = wide_and_deep()
    model.compile(loss=loss, optimizer="nadam", metrics=["mae"])
    model.fit(X, Y, verbose=0)
    path: Any = tmp_path / "my_keras_model.h5"
    path = path if as_path else str(path)
    model.save(path)
    known = {"huber_fn": huber_fn, "HuberLoss": HuberLoss}
    again = keras.models.load_model(path, custom_objects=known)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model(X))
    for each in (model, again):
        each.fit(X, Y, shuffle=False, verbose=0)
    np.testing.assert_allclose(again(X), model(X), rtol=1e-5)
    model.save_weights(tmp_path / "my.weights.h5")
    fresh = wide_and_deep()
    fresh.load_weights(tmp_path / "my.weights.h5")
    np.testing.assert_array_equal(fresh(X), model(X))


@pytest.mark.feature("2.1-7")
@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "mse", "optimizer": "sgd", "metrics": ["mae"]},
        {
            "loss": keras.losses.mean_squared_error,
            "optimizer": keras.optimizers.SGD(),
            "metrics": [keras.metrics.MeanAbsoluteError(name="mae")],
            "run_eagerly": True,
        },
        {
            "loss": keras.losses.MeanSquaredError(),
            "optimizer": keras.optimizers.SGD(0.01),
            "metrics": [keras.losses.mean_absolute_error],
        },
    ],
)
def test_compile_takes_names_functions_and_instances(arguments) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((8,)), L.Dense(1, kernel_initializer="ones")])
    model.compile(**arguments)
    loss, mae = model.evaluate(X, Y, verbose=0)
    error = X.sum(1, keepdims=True).astype("float64") - Y
    assert loss == pytest.approx(np.square(error).mean(), rel=1e-5)
    assert mae == pytest.approx(np.abs(error).mean(), rel=1e-5)
    model.fit(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0)[0] < loss


@pytest.mark.feature("2.1-7", "2.1-9", "2.1-10")
def test_losses_and_weights_by_output() -> None:
    model = wide_and_deep(outputs=2)
    model.compile(loss=["mse", "mse"], loss_weights=[0.9, 0.1], optimizer="sgd")
    h = model.fit(X, (Y, Y), validation_data=(X, (Y, Y)), verbose=0).history
    assert {"loss", "output_loss", "aux_output_loss", "val_output_loss"} <= h.keys()
    total, main, aux = model.evaluate(X, (Y, Y), verbose=0)
    assert total == pytest.approx(0.9 * main + 0.1 * aux, rel=1e-5)
    found = model.predict(X, verbose=0)
    assert isinstance(found, list) and [f.dtype for f in found] == ["float32"] * 2


@pytest.mark.feature("2.1-8")
def test_arguments_of_fit() -> None:
    model = compiled(metrics=["mae"])
    seen = keras.callbacks.LambdaCallback()
    history = model.fit(
        X,
        Y,
        epochs=4,
        batch_size=16,
        validation_data=(X[:20], Y[:20], np.ones(20)),
        sample_weight=np.linspace(0, 1, 64),
        callbacks=[seen],
        initial_epoch=2,
        verbose=0,
    )
    assert history.epoch == [2, 3] and history.params["steps"] == 4
    assert seen.model is model and len(history.history["val_mae"]) == 2
    history = model.fit(
        X, Y, batch_size=8, steps_per_epoch=3, validation_split=0.5, verbose=0
    )
    assert history.params["steps"] == 3
    balanced = keras.Sequential([keras.Input((8,)), L.Dense(3, activation="softmax")])
    balanced.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    weight = {0: 1.0, 1: 2.0, 2: 0.0}
    plain = balanced.evaluate(
        X, LABELS, sample_weight=np.array([1.0, 2.0, 0.0])[LABELS], verbose=0
    )
    h = balanced.fit(X, LABELS, class_weight=weight, batch_size=64, verbose=0).history
    assert h["loss"] == pytest.approx([plain], rel=1e-5)


@pytest.mark.feature("2.1-8", "2.1-9", "2.1-10")
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ((X,), (Y,)),
        ([X], [Y]),
        ({"features": X}, Y),
        (X.tolist(), Y.tolist()),
        (tf.constant(X), tf.constant(Y)),
    ],
    ids=["tuples", "lists", "a dict", "numbers", "tensors"],
)
def test_forms_of_data(x: Any, y: Any) -> None:
    model = wide_and_deep(input="features")
    model.compile(loss="mse", optimizer="sgd")
    plain = model.evaluate(X, Y, verbose=0, batch_size=20)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain, rel=1e-5)
    np.testing.assert_allclose(model.predict(x, verbose=0), model(X), rtol=1e-5)
    model.fit(x, y, epochs=2, verbose=0)
    assert model.evaluate(X, Y, verbose=0) < plain


@pytest.mark.feature("2.1-9", "2.1-10")
def test_steps_end_an_evaluation_and_a_prediction() -> None:
    model = compiled()
    assert model.predict(X, batch_size=10, steps=2, verbose=0).shape == (20, 1)
    first = model.evaluate(X[:20], Y[:20], verbose=0)
    found = model.evaluate(X, Y, batch_size=10, steps=2, verbose=0)
    assert found == pytest.approx(first, rel=1e-5)


@pytest.mark.feature("2.1-11", "2.9-4", "2.1-20", "2.9-6")
@pytest.mark.filterwarnings("ignore:.*old spelling:FutureWarning")
def test_methods_that_keras_dropped() -> None:
    model = keras.Sequential([keras.Input((8,)), L.Dense(3, activation="softmax")])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    wanted = model.predict(X, verbose=0).argmax(-1)
    np.testing.assert_array_equal(model.predict_classes(X), wanted)
    batches = ((X[i : i + 8], LABELS[i : i + 8]) for i in range(0, 64, 8))
    assert model.fit_generator(batches, 4, 2, verbose=0).epoch == [0, 1]
    assert np.isscalar(model.train_on_batch(X, LABELS))


@pytest.mark.feature("2.1-12", "2.1-13", "2.1-14", "2.1-17", "2.1-21")
def test_looking_at_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    model = keras.Sequential([L.Dense(4, name="hidden"), L.BatchNormalization()])
    assert not model.built
    model.build((None, 8))
    model.summary()
    assert "hidden" in capsys.readouterr().out and model.count_params() == 36 + 16
    hidden = model.get_layer("hidden")
    assert hidden is model.layers[0] is model.get_layer(index=0)
    assert (hidden.name, hidden.built, hidden.trainable) == ("hidden", True, True)
    weights, biases = hidden.get_weights()
    assert weights.shape == (8, 4) and not biases.any()
    hidden.set_weights([weights + 1, biases])
    np.testing.assert_array_equal(model.get_weights()[0], weights + 1)
    assert [v.trainable for v in model.layers[1].variables] == [True] * 2 + [False] * 2
    with pytest.warns(FutureWarning, match="old spelling"):
        assert hidden.updates == []


@pytest.mark.feature("2.1-18")
def test_calls_and_parts_of_a_model() -> None:
    input_ = L.Input(shape=[8])
    dense = L.Dense(4, kernel_regularizer=keras.regularizers.l2(0.5))
    model = keras.Model(input_, L.Dropout(0.5)(dense(input_)))
    assert model.input is input_ and model.output.shape == (None, 4)
    [loss] = model.losses
    assert float(loss) == pytest.approx(0.5 * (dense.kernel.numpy() ** 2).sum(), 1e-5)
    assert len(model.trainable_variables) == 2 and len(model.variables) == 3  # a seed
    np.testing.assert_array_equal(model(X), model(X))
    assert not np.array_equal(model(X, training=True), model(X))


@pytest.mark.feature("2.1-19")
@pytest.mark.filterwarnings("ignore:add_metric:FutureWarning")
def test_losses_and_metrics_added_in_call() -> None:
    class Penalized(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.out = L.Dense(1)

        def call(self, inputs: Any, training: Any = None) -> Any:
            size = tf.reduce_mean(tf.square(inputs))
            self.add_loss(0.5 * size)
            self.add_metric(size, name="size")
            return self.out(inputs)

    model = Penalized()
    model.compile(loss="mse", optimizer="nadam")
    h = model.fit(X, Y, batch_size=64, verbose=0).history
    assert h["size"] == pytest.approx([np.square(X).mean()], rel=1e-5)
    loss = model.evaluate(X, Y, batch_size=64, return_dict=True, verbose=0)["loss"]
    plain = np.square(np.asarray(model(X)) - Y).mean()
    assert loss == pytest.approx(plain + 0.5 * h["size"][0], rel=1e-5)


@pytest.mark.feature("2.1-22")
def test_dynamic_is_an_argument_of_layers_and_models() -> None:
    with pytest.warns(FutureWarning, match="run_eagerly"):
        layer = L.Dense(3, dynamic=True)
    assert layer(X).shape == (64, 3)
