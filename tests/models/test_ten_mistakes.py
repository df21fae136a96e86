# SPDX-License-Identifier: Apache-2.0
"""The most common mistakes of new users: each is told what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import keras

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype("float32")
Y = X[:, :1] * 2
LABELS = RNG.integers(0, 3, 40)
SPARSE, ONE_HOT = "sparse_categorical_crossentropy", "categorical_crossentropy"


def classifier(loss=SPARSE, **kwargs):
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, activation="softmax")])
    model.compile("sgd", loss, **kwargs)
    return model


def images():
    model = keras.Sequential([keras.Input((4, 4)), L.Dense(3, activation="softmax")])
    model.compile("sgd", SPARSE)
    return model


def regression(rate=0.01):
    model = keras.Sequential([keras.Input((4,)), L.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse")
    return model


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def last(activation, loss, units=3):
    dense = L.Dense(units, activation=activation, name="last")
    keras.Sequential([keras.Input((4,)), dense]).compile("sgd", loss)


def two_outputs(loss):
    x = keras.Input((4,))
    ends = [L.Dense(3, name="a")(x), L.Dense(3, "sigmoid", name="b")(x)]
    keras.Model(x, ends).compile("sgd", loss)


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([a, b], L.Dense(1)(L.concatenate([a, b])))
    model.compile("sgd", "mse")
    return model


def compiled(loss):
    model = keras.Sequential([keras.Input((4,)), L.Dense(1)])
    model.compile("sgd", loss)
    return model


def frozen():
    model = regression()
    model.trainable = False
    return model


def embedding():
    return keras.Sequential(
        [
            keras.Input((2,), dtype="int32"),
            L.Embedding(5, 2, name="words"),
            L.Flatten(),
            L.Dense(1),
        ]
    )


def binary():
    model = keras.Sequential([keras.Input((4,)), L.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    return model


class Forgetful(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = L.Dense(1)
        self.compile("sgd", "mse")

    def call(self, x):
        self.inner(x)


class Wasteful(keras.Model):
    def __init__(self):
        super().__init__()
        self.compile("sgd", "mse")

    def call(self, x):
        return L.Dense(1)(x)


def one_optimizer_for_two_models():
    optimizer = keras.optimizers.Adam()
    for _ in range(2):
        model = keras.Sequential([keras.Input((4,)), L.Dense(1)])
        model.compile(optimizer, "mse")
        fit(model, X, Y)


def frame(towns):
    pandas = pytest.importorskip("pandas")
    numbers = [1.0, 2.0]
    return pandas.DataFrame({"a": numbers, "town": towns, "c": numbers, "d": numbers})


def fit(model, x, y, **kwargs):
    return model.fit(x, y, verbose=0, **kwargs)


MISTAKES = {
    "wrong input shape": (
        lambda: fit(classifier(), np.zeros((40, 2, 2)), LABELS),
        r"expects an input of shape \(None, 4\); received shape \(40, 2, 2\)",
    ),
    "one sample without its batch axis": (
        lambda: classifier().predict(X[0], verbose=0),
        r"received shape \(4,\)\. One sample needs an axis .* write x\[None\]",
    ),
    "no compile": (
        lambda: fit(keras.Sequential([keras.Input((4,)), L.Dense(1)]), X, Y),
        r"call `compile` before `fit`(.|\n)*model.compile\(",
    ),
    "one-hot labels with a sparse loss": (
        lambda: fit(classifier(), X, np.eye(3)[LABELS]),
        r"look like one-hot rows. Use loss='categorical_crossentropy', or y.argmax",
    ),
    "integer labels with a loss for one-hot rows": (
        lambda: fit(classifier(ONE_HOT), X, LABELS),
        r"to_categorical\(y\)(.|\n)*sparse_categorical_crossentropy",
    ),
    "labels that count from 1": (
        lambda: fit(classifier(), X, LABELS + 1),
        r"label 3 in row \d+ is not a class: .* so labels must be 0..2",
    ),
    "labels that are quantities": (
        lambda: fit(classifier(), X, LABELS + 0.5),
        r"label .*\.5 in row 0 is no whole number(.|\n)*loss='mse' and Dense\(1\)",
    ),
    "a forgotten Flatten": (
        lambda: fit(images(), np.zeros((40, 4, 4)), LABELS),
        r"outputs of shape \(batch, 3\): write Flatten\(\) or a global pooling",
    ),
    "images without an axis of channels": (
        lambda: keras.Sequential([keras.Input((8, 8)), L.Conv2D(3, 3)]),
        r"write x\[..., None\], and Input\(\(8, 8, 1\)\)",
    ),
    "a metric's name mistyped": (
        lambda: fit(classifier(metrics=["acuracy"]), X, LABELS),
        "Did you mean 'accuracy'",
    ),
    "validation_split of a generator": (
        lambda: classifier().fit(iter([(X, LABELS)]), validation_split=0.2),
        "validation_split needs arrays; give validation_data",
    ),
    "too few units for the classes": (
        lambda: fit(classifier(ONE_HOT), X, np.eye(4)[LABELS]),
        "The last layer's units must match the last axis of the labels",
    ),
    "a label column for a one-hot metric": (
        lambda: fit(classifier(metrics=["categorical_accuracy"]), X, LABELS),
        r"model\(x\) +# y_pred: \(32, 3\)(.|\n)*to_categorical\(y\)",
    ),
    "labels as text": (
        lambda: fit(classifier(), X, np.array(["a", "b", "c"])[LABELS]),
        "y must hold numbers.* Encode text as numbers first",
    ),
    "(n,) against (n, 1)": (
        lambda: keras.losses.MeanSquaredError()(Y[:, 0], Y),
        r"y_true \(40,\) and y_pred \(40, 1\)(.|\n)*y = y\[..., None\]",
    ),
    "x and y of different lengths": (
        lambda: fit(regression(), X, Y[:-1]),
        r"same number of samples; received x \(40, 4\), y \(39, 1\)",
    ),
    "a class in place of a layer": (
        lambda: keras.Sequential([keras.Input((4,)), L.Dense]),
        r"Make an instance: Dense\(...\)",
    ),
    "an argument's name mistyped": (
        lambda: L.Dense(3, activations="relu"),
        "Did you mean 'activation'",
    ),
    "a loss's name mistyped": (
        lambda: classifier("sparse_categorical_cross_entropy"),
        "Did you mean 'sparse_categorical_crossentropy'",
    ),
    "too few arrays": (
        lambda: fit(two_inputs(), X, Y),
        r"expects 2 inputs \(a \(None, 4\), b \(None, 4\)\), received 1\. Give a list",
    ),
    "too many arrays": (
        lambda: fit(regression(), [X, X], Y),
        r"has one input, received 2 arrays.*np.stack\(arrays\)",
    ),
    "inputs and targets as one argument": (
        lambda: fit(regression(), (X, Y), None),
        r"received 2 arrays.*targets come after them: fit\(x, y\)",
    ),
    "samples in a list": (
        lambda: fit(regression(), list(X), Y),
        r"x\[5\] \(4,\) and 35 more\. A list holds .* np.stack\(x\)",
    ),
    "predict with targets": (
        lambda: regression().predict(X, Y, verbose=0),
        r"batch_size must be an integer, received an array of shape \(40, 1\)",
    ),
    "a loss without return": (
        lambda: fit(compiled(lambda y, p: None), X, Y),
        "returned None: end it with `return` and one value per instance",
    ),
    "gradients without their variables": (
        lambda: keras.optimizers.SGD().apply_gradients([Y, Y]),
        r"write apply_gradients\(zip\(gradients, variables\)\)",
    ),
    "states between layers in a row": (
        lambda: keras.Sequential(
            [keras.Input((4, 2)), L.LSTM(3, return_state=True), L.Dense(1)]
        ),
        r"'dense\w*' would get 3 tensors.*\(return_state=False\), or use keras.Model",
    ),
    "one sequence to be padded": (
        lambda: keras.utils.pad_sequences([1, 2, 3]),
        r"takes a list of sequences, .*write \[sequence\] for one",
    ),
    "targets kept as text": (
        lambda: fit(regression(), X, Y.astype(str)),
        r"y must hold numbers.* Convert it by y.astype\('float32'\)",
    ),
    "an input's name mistyped": (
        lambda: fit(two_inputs(), {"a": X, "c": X}, Y),
        "has the inputs a, b; received a dict with a, c: b is missing",
    ),
    "weights of a layer that is not built": (
        lambda: L.Dense(3).kernel,
        "it has no weights yet; build it, or call it on data",
    ),
    "weights into a model that is not built": (
        lambda: keras.Sequential([L.Dense(3)]).load_weights("none.weights.h5"),
        "has no weights yet: call it on data, or build it",
    ),
    "rows of different lengths": (
        lambda: fit(classifier(), [[1, 2, 3, 4], [1, 2]], [0, 1]),
        "a nested list whose rows have different lengths; pad them",
    ),
    "numbers kept as text": (
        lambda: fit(regression(), X.astype(str), Y),
        r"x must hold numbers.* Convert it by x.astype\('float32'\)",
    ),
    "a column of text in a data frame": (
        lambda: fit(regression(), frame(["x", "y"]), [0, 1]),
        r"Columns without numbers: town\. Encode text.*pandas.get_dummies",
    ),
    "a column of objects in a data frame": (
        lambda: fit(regression(), frame([1, "2"]), [0, 1]),
        r"Columns without numbers: town\. Convert it by x.astype\('float32'\)",
    ),
    "validation inputs without targets": (
        lambda: fit(regression(), X, Y, validation_data=X),
        r"validation_data needs targets: it must be \(x, y\)",
    ),
    "a class of callbacks": (
        lambda: fit(regression(), X, Y, callbacks=[keras.callbacks.EarlyStopping]),
        r"Make an instance: EarlyStopping\(\)",
    ),
    "an index outside an embedding": (
        lambda: embedding().predict(np.array([[1, 7]]), verbose=0),
        r"\[Embedding\] layer 'words': index 7 at position \(0, 1\) of the input is "
        r"out of range for input_dim=5(?s:.*)Give the layer input_dim=largest index",
    ),
    "an index outside an embedding, called": (
        lambda: embedding()(np.array([[-6, 1]])),
        r"\[Embedding\] layer 'words': index -6 at position \(0, 0\)",
    ),
    "an optimizer for two models": (
        one_optimizer_for_two_models,
        "belongs to one model: compile the model with a new one",
    ),
    "a call without return": (
        lambda: fit(Forgetful(), X, Y),
        r"\[Forgetful\] 'forgetful.*' returned None: end its `call` with `return",
    ),
    "a layer without return": (
        lambda: keras.Sequential([keras.Input((4,)), L.Lambda(lambda x: None)]),
        r"returned None: end its `call` with `return",
    ),
    "no targets": (
        lambda: fit(regression(), X, None),
        r"y was not given\. Call fit\(x, y\)",
    ),
    "recurrent layers on each other": (
        lambda: keras.Sequential([keras.Input((5, 3)), L.LSTM(4), L.LSTM(4)]),
        "After a recurrent layer: give that return_sequences=True",
    ),
    "the number of samples as part of a shape": (
        lambda: keras.Sequential([keras.Input((40, 4)), L.Dense(1)]).predict(X),
        "Input's shape is that of one sample",
    ),
    "weights of classes for quantities": (
        lambda: fit(regression(), X, Y, class_weight={0: 1.0, 1: 2.0}),
        "is no class: weigh quantities by sample_weight",
    ),
    "a layer's number in place of its name": (
        lambda: regression().get_layer(0),
        r"Write get_layer\(index=0\)",
    ),
    "an optimizer's name mistyped": (
        lambda: regression().compile("adm", "mse"),
        "Did you mean 'adam'.*Known names: adadelta, adafactor, adagrad, adam, ",
    ),
    "layers that are not in a list": (
        lambda: keras.Sequential(L.Dense(3), L.Dense(1)),
        r"write Sequential\(\[layer, ...\]\)",
    ),
    "NumPy on a symbolic tensor": (
        lambda: np.exp(keras.Input((4,))),
        r"Use layers, operators and fastnn.ops \(not NumPy\)",
    ),
    "targets that are missing": (
        lambda: fit(regression(), X, np.where(Y > 1, np.nan, Y)),
        "y is NaN in row .* Drop such rows, or replace the value",
    ),
}
WARNED = {
    "everything frozen": (
        lambda: fit(frozen(), X, Y),
        r"all weights of model .* are frozen.*Set trainable = True on the layers",
    ),
    "a layer made inside call": (
        lambda: fit(Wasteful(), X, Y),
        "has no weights, so it learns nothing.*make it in `__init__`",
    ),
    "inputs that are missing": (
        lambda: fit(regression(), np.where(X > 1, np.nan, X), Y, epochs=3),
        "x holds NaN: drop such rows",
    ),
    "inputs that are infinite": (
        lambda: fit(regression(), np.where(X > 1, np.inf, X), Y, epochs=3),
        "x holds infinity: drop such rows, or clip the values",
    ),
    "sigmoids for classes that exclude each other": (
        lambda: last("sigmoid", ONE_HOT),
        r"write activation='softmax'; for several labels .*binary_crossentropy",
    ),
    "the same with numbers of classes": (
        lambda: last("sigmoid", SPARSE),
        r"write activation='softmax'",
    ),
    "labels of -1 and 1": (
        lambda: fit(binary(), X, np.sign(Y)),
        r"label -1\.0 in row \d+ is outside 0..1.*Write y > 0",
    ),
    "a saved model without weights": (
        lambda: keras.Sequential([L.Dense(3)]).save("unbuilt.keras"),
        "is not built: the file will hold no weights",
    ),
    "inputs that were not scaled": (
        lambda: fit(regression(), X * 1e4, Y, epochs=60),
        "the loss is NaN.* scale the inputs",
    ),
    "a softmax over one output": (
        lambda: keras.Sequential(
            [keras.Input((4,)), L.Dense(1, activation="softmax")]
        ).compile("sgd", "binary_crossentropy"),
        r"always 1.* Write Dense\(1, activation='sigmoid'\)",
    ),
    "logits where probabilities are wanted": (
        lambda: last("linear", SPARSE),
        r"ends with activation 'linear'.*activation='softmax', or the loss from_logits",
    ),
    "one logit where a probability is wanted": (
        lambda: last("tanh", "binary_crossentropy", units=1),
        r"ends with activation 'tanh'.*activation='sigmoid', or the loss from_logits",
    ),
    "a softmax where logits are wanted": (
        lambda: last("softmax", LOGITS),
        r"from_logits=True, but layer 'last' ends with a softmax",
    ),
    "the second output's logits": (
        lambda: two_outputs(["mse", LOGITS]),
        r"from_logits=True, but layer 'b' ends with a sigmoid",
    ),
    "the same by name": (
        lambda: two_outputs({"a": SPARSE, "b": "mse"}),
        r"layer 'a' ends with activation 'linear'",
    ),
    "early stopping without validation": (
        lambda: fit(regression(), X, Y, callbacks=[keras.callbacks.EarlyStopping()]),
        "'val_loss' is not among the logged values.*give validation data",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_an_error_says_what_to_do(name) -> None:
    write, message = MISTAKES[name]
    expected = (ValueError, TypeError, RuntimeError, AttributeError, IndexError)
    with pytest.raises(expected, match=message):
        write()


@pytest.mark.parametrize("name", WARNED)
def test_a_warning_says_what_to_do(name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write, message = WARNED[name]
    with pytest.warns(UserWarning, match=message) as caught:
        write()
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize(
    ("activation", "loss"),
    [("linear", LOGITS), ("softmax", SPARSE), ("relu", SPARSE), ("linear", "mse")],
)
@pytest.mark.filterwarnings("error")
def test_what_is_right_or_unknown_is_not_warned_of(activation, loss) -> None:
    last(activation, loss)
    if activation == "linear":
        own = keras.Sequential([L.Dense(3), L.Lambda(lambda x: keras.ops.softmax(x))])
        own.compile("sgd", SPARSE)


def test_freezing_works_without_another_compile() -> None:
    """Elsewhere a mistake: here `trainable` counts from the next step on."""
    model = keras.Sequential(
        [keras.Input((4,)), L.Dense(5), L.Dense(3, activation="softmax")]
    )
    model.compile("adam", SPARSE)
    fit(model, X, LABELS)
    model.layers[0].trainable = False
    before = model.get_weights()
    fit(model, X, LABELS, epochs=3)
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    ]
    assert moved == [False, False, True, True]
    model.layers[0].trainable = True
    fit(model, X, LABELS)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_targets_without_a_last_axis_are_columns() -> None:
    flat, column = (fit(regression(), X, y).history for y in (Y[:, 0], Y))
    assert len(flat["loss"]) == len(column["loss"]) == 1
    model = regression()
    assert model.evaluate(X, Y[:, 0], verbose=0) == model.evaluate(X, Y, verbose=0)
