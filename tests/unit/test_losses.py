# SPDX-License-Identifier: Apache-2.0
"""Every loss against its formula in float64 NumPy: values, gradients, reductions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastnn import activations, convert_to_tensor, losses, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.errors import ShapeError
from fastnn.serialization import exported

RNG = np.random.default_rng(0)
N, K = 7, 4
EPS = 1e-7
REAL = RNG.random((N, K)) * 2
GUESS = RNG.random((N, K)) * 0.9 + 0.05
PROBS = GUESS / GUESS.sum(1, keepdims=True)
INDEX = RNG.integers(0, K, N)
ONE_HOT = np.eye(K)[INDEX]
BITS = RNG.integers(0, 2, (N, K)).astype(float)
LOGITS = RNG.normal(size=(N, K)) * 3
UNIT = GUESS / np.linalg.norm(GUESS, axis=1, keepdims=True)


def log_softmax(z):
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def bce(t, p):
    return -(t * np.log(p) + (1 - t) * np.log(1 - p))


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def huber(t, p):
    e = np.abs(p - t)
    return np.where(e <= 1, e**2 / 2, e - 0.5).mean(-1)


def circle(t, p, gamma=80, margin=0.4):
    similarity = p @ p.T
    values = []
    for i in range(len(p)):
        near, far = [], []
        for j in {*range(len(p))} - {i}:
            s = similarity[i, j]
            if t[i] == t[j]:
                near.append(-gamma * max(1 + margin - s, 0) * (s - (1 - margin)))
            else:
                far.append(gamma * max(s + margin, 0) * (s - margin))
        total = np.exp(near).sum() * np.exp(far).sum()
        values.append(np.log1p(total))
    return np.array(values)


def overlap(t, p, alpha, beta):
    hit = (t * p).sum()
    missed, false = (t * (1 - p)).sum(), (p * (1 - t)).sum()
    return 1 - hit / (hit + alpha * missed + beta * false)


SPELLED, FRAMES = np.array([[1, 2], [2, 2], [1, 0]]), RNG.normal(size=(3, 4, 3))


def spelling(t, p):
    chances, values = np.exp(log_softmax(p)), np.zeros(len(t))
    for path in itertools.product(range(3), repeat=4):
        said = [c for c, _ in itertools.groupby(path) if c]
        for i in range(len(t)):
            if said == [c for c in t[i] if c]:
                values[i] += np.prod(chances[i, np.arange(4), path])
    return -np.log(values)


SIGNS = 2 * BITS - 1
# name of the function: labels, predictions, one value per instance
CASES = {
    "binary_crossentropy": (BITS, GUESS, lambda t, p: bce(t, p).mean(-1)),
    "binary_focal_crossentropy": (
        BITS,
        GUESS,
        lambda t, p: (np.where(t == 1, 1 - p, p) ** 2 * bce(t, p)).mean(-1),
    ),
    "categorical_crossentropy": (
        ONE_HOT,
        PROBS,
        lambda t, p: -(t * np.log(p)).sum(-1),
    ),
    "categorical_focal_crossentropy": (
        ONE_HOT,
        PROBS,
        lambda t, p: -(0.25 * (1 - p) ** 2 * t * np.log(p)).sum(-1),
    ),
    "categorical_generalized_cross_entropy": (
        INDEX,
        PROBS,
        lambda t, p: (1 - np.sqrt(p[np.arange(N), t])) / 0.5,
    ),
    "categorical_hinge": (
        ONE_HOT,
        GUESS,
        lambda t, p: np.maximum(
            ((1 - t) * p).max(-1) - (t * p).sum(-1) + 1,
            0,
        ),
    ),
    "circle": (INDEX, UNIT, circle),
    "cosine_similarity": (REAL, GUESS, lambda t, p: -(unit(t) * unit(p)).sum(-1)),
    "ctc": (SPELLED, FRAMES, spelling),
    "dice": (BITS, GUESS, lambda t, p: overlap(t, p, 0.5, 0.5)),
    "hinge": (BITS, LOGITS, lambda t, p: np.maximum(1 - SIGNS * p, 0).mean(-1)),
    "huber": (REAL, LOGITS, huber),
    "kl_divergence": (REAL / 2, GUESS, lambda t, p: (t * np.log(t / p)).sum(-1)),
    "log_cosh": (REAL, GUESS, lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    "mean_absolute_error": (REAL, GUESS, lambda t, p: np.abs(t - p).mean(-1)),
    "mean_absolute_percentage_error": (
        REAL,
        GUESS,
        lambda t, p: 100 * np.abs((t - p) / t).mean(-1),
    ),
    "mean_squared_error": (REAL, GUESS, lambda t, p: ((t - p) ** 2).mean(-1)),
    "mean_squared_logarithmic_error": (
        REAL,
        GUESS,
        lambda t, p: ((np.log1p(t) - np.log1p(p)) ** 2).mean(-1),
    ),
    "poisson": (REAL, GUESS, lambda t, p: (p - t * np.log(p + EPS)).mean(-1)),
    "sparse_categorical_crossentropy": (
        INDEX,
        PROBS,
        lambda t, p: -np.log(p[np.arange(N), t]),
    ),
    "squared_hinge": (
        BITS,
        LOGITS,
        lambda t, p: (np.maximum(1 - SIGNS * p, 0) ** 2).mean(-1),
    ),
    "tversky": (BITS, GUESS, lambda t, p: overlap(t, p, 0.5, 0.5)),
}
NEEDED = {"categorical_generalized_cross_entropy": {"q": 0.5}}
CLASSES = {
    cls._function: cls
    for cls in exported("keras.losses").values()
    if isinstance(cls, type) and hasattr(cls, "_function")
}


def function_of(name):
    function = getattr(losses, name)
    options = NEEDED.get(name, {})
    return lambda t, p: function(t, p, **options)


def test_no_loss_is_forgotten():
    table = exported("keras.losses")
    functions = {n for n, f in table.items() if not isinstance(f, type)}
    assert functions == set(CASES)
    assert {f.__name__ for f in CLASSES} == functions
    classes = {n for n, c in table.items() if isinstance(c, type)}
    named = {c.__name__ for c in CLASSES.values()}
    assert classes - named == {"Loss", "LossFunctionWrapper"}


@pytest.mark.feature("1A-17", "1A-20")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_values(name, dtype):
    labels, guess, formula = CASES[name]
    value = function_of(name)(labels, convert_to_tensor(guess, dtype=dtype))
    assert value.dtype == dtype
    rtol = 3e-5 if dtype == "float32" else 2e-6  # Keras's epsilons
    np.testing.assert_allclose(value.numpy(), formula(labels, guess), rtol, 1e-6)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"circle"}))
def test_gradients(name):
    labels, guess, _ = CASES[name]
    function = function_of(name)
    with GradientTape() as tape:
        p = convert_to_tensor(guess)
        tape.watch(p)
        loss = ops.sum(function(labels, p))
    grad = tape.gradient(loss, p).numpy()
    step = 1e-6
    for index in np.ndindex(guess.shape):
        change = 0.0
        for sign in (1, -1):
            moved = guess.copy()
            moved[index] += sign * step
            change += sign * function(labels, moved).numpy().sum()
        assert grad[index] == pytest.approx(change / (2 * step), rel=2e-4, abs=1e-6)


@pytest.mark.feature("4D-49")
@pytest.mark.parametrize("name", sorted(CASES))
def test_classes_reduce_their_functions(name):
    labels, guess, formula = CASES[name]
    cls = CLASSES[getattr(losses, name)]
    values = formula(labels, guess)
    for reduction, expected in {
        "sum_over_batch_size": values.mean(),
        "mean": values.mean(),
        "mean_with_sample_weight": values.mean(),
        "sum": values.sum(),
        "none": values,
        None: values,
    }.items():
        loss = cls(reduction=reduction)(labels, guess.astype("float32"))
        if np.ndim(values) == 0:
            expected = values
        elif name == "circle" and reduction not in ("sum", "none", None):
            expected = values.sum() / (values > 1e-6).sum()
        np.testing.assert_allclose(loss.numpy(), expected, rtol=5e-5, atol=1e-6)


FROM_LOGITS = {
    "binary_crossentropy": (BITS, lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
    "binary_focal_crossentropy": (BITS, lambda z: 1 / (1 + np.exp(-z)), "sigmoid"),
    "categorical_crossentropy": (ONE_HOT, lambda z: np.exp(log_softmax(z)), "softmax"),
    "categorical_focal_crossentropy": (
        ONE_HOT,
        lambda z: np.exp(log_softmax(z)),
        "softmax",
    ),
    "sparse_categorical_crossentropy": (
        INDEX,
        lambda z: np.exp(log_softmax(z)),
        "softmax",
    ),
}


@pytest.mark.feature("1A-19")
@pytest.mark.parametrize("name", sorted(FROM_LOGITS))
def test_from_logits_and_after_the_activation(name):
    labels, to_probs, activation = FROM_LOGITS[name]
    formula = CASES[name][2]
    expected = formula(labels, to_probs(LOGITS))
    function = getattr(losses, name)
    given = function(labels, LOGITS, from_logits=True).numpy()
    np.testing.assert_allclose(given, expected, rtol=1e-6)
    y_pred = getattr(activations, activation)(LOGITS)
    np.testing.assert_allclose(function(labels, y_pred).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "activation", "label", "wrong"),
    [
        ("sparse_categorical_crossentropy", "softmax", [1], [[100.0, -100.0]]),
        ("categorical_crossentropy", "softmax", [[0, 1]], [[100.0, -100.0]]),
        ("binary_crossentropy", "sigmoid", [[1.0]], [[-200.0]]),
    ],
)
def test_logits_survive_where_probabilities_underflow(name, activation, label, wrong):
    y_pred = getattr(activations, activation)(np.float32(wrong))
    assert float(getattr(losses, name)(np.array(label), y_pred)[0]) == 200.0
    bare = y_pred.numpy()  # forgets the logits: clipped at epsilon
    clipped = float(getattr(losses, name)(np.array(label), bare)[0])
    assert clipped == pytest.approx(-np.log(EPS), rel=1e-5)


def test_sigmoid_outputs_are_not_taken_for_softmax_outputs():
    y_pred = activations.sigmoid(LOGITS)
    p = 1 / (1 + np.exp(-LOGITS))
    p = p / p.sum(1, keepdims=True)
    value = losses.categorical_crossentropy(ONE_HOT, y_pred).numpy()
    np.testing.assert_allclose(value, -np.log(p[np.arange(N), INDEX]), rtol=1e-6)


@pytest.mark.parametrize("name", ["binary_crossentropy", "categorical_crossentropy"])
def test_label_smoothing(name):
    labels, to_probs, _ = FROM_LOGITS[name]
    other = 0.5 if name.startswith("binary") else 1 / K
    smooth = labels * 0.9 + 0.1 * other
    formula = CASES[name][2]
    value = getattr(losses, name)(labels, LOGITS, True, label_smoothing=0.1)
    np.testing.assert_allclose(value.numpy(), formula(smooth, to_probs(LOGITS)), 1e-6)


def test_focal_options():
    value = losses.BinaryFocalCrossentropy(True, alpha=0.3, gamma=1.5)(BITS, GUESS)
    wrong = np.where(BITS == 1, 1 - GUESS, GUESS)
    weight = np.where(BITS == 1, 0.3, 0.7)
    expected = (weight * wrong**1.5 * bce(BITS, GUESS)).mean()
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_axis_and_rank():
    t, p = RNG.random((2, 3, 4)), RNG.random((2, 3, 4)) + 0.1
    scaled = p / p.sum(1, keepdims=True)
    value = losses.categorical_crossentropy(t, p, axis=1).numpy()
    np.testing.assert_allclose(value, -(t * np.log(scaled)).sum(1), rtol=1e-5)
    value = losses.mean_squared_error(t, p).numpy()
    np.testing.assert_allclose(value, ((t - p) ** 2).mean(-1), rtol=1e-6)
    labels = RNG.integers(0, 4, (2, 3))
    value = losses.sparse_categorical_crossentropy(labels, np.log(p), True).numpy()
    scaled = p / p.sum(-1, keepdims=True)
    picked = np.take_along_axis(scaled, labels[..., None], -1)[..., 0]
    np.testing.assert_allclose(value, -np.log(picked), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "float32"])
@pytest.mark.parametrize("shape", [(N,), (N, 1)])
@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_of_sparse_crossentropy(dtype, shape, from_logits):
    labels = INDEX.astype(dtype).reshape(shape)
    loss = losses.SparseCategoricalCrossentropy(from_logits, reduction=None)
    value = loss(labels, (np.log(PROBS) if from_logits else PROBS).astype("float32"))
    expected = -np.log(PROBS[np.arange(N), INDEX])
    np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("from_logits", "sign"), [(True, np.nan), (False, np.inf)])
def test_label_outside_the_classes_shows(from_logits, sign):
    value = losses.sparse_categorical_crossentropy(
        np.array([K, 0]), PROBS[:2], from_logits
    ).numpy()
    np.testing.assert_array_equal(value[0], sign)
    assert np.isfinite(value[1])


@pytest.mark.parametrize("from_logits", [True, False])
def test_ignored_class_leaves_sum_and_divisor(from_logits):
    labels = INDEX.copy()
    labels[2:4] = 255
    guess = np.log(PROBS) if from_logits else PROBS
    loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class=255)
    kept = [i for i in range(N) if i not in (2, 3)]
    values = -np.log(PROBS[kept, INDEX[kept]])
    assert float(loss(labels, guess)) == pytest.approx(values.mean(), rel=1e-5)
    weights = np.arange(1.0, N + 1)
    expected = (values * weights[kept]).sum() / len(kept)
    assert float(loss(labels[:, None], guess, weights)) == pytest.approx(expected, 1e-5)
    alone = loss(np.full(2, 255), guess[:2])
    assert float(alone) == 0.0


@pytest.mark.feature("4D-48")
@pytest.mark.parametrize("shape", [(), (N,), (N, 1)])
def test_sample_weight(shape):
    weights = RNG.random(shape)
    values = ((REAL - GUESS) ** 2).mean(-1)
    weighted = values * weights.reshape(-1)
    for reduction, expected in {
        "sum_over_batch_size": weighted.sum() / N,
        "sum": weighted.sum(),
        "none": weighted,
        "mean_with_sample_weight": weighted.sum() / (weights * np.ones(N)).sum()
        if shape == ()
        else weighted.sum() / weights.sum(),
    }.items():
        if shape == () and reduction == "mean_with_sample_weight":
            continue  # a single weight has no sum over instances
        loss = losses.MeanSquaredError(reduction=reduction)
        value = loss(REAL, GUESS, sample_weight=weights).numpy()
        np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_weights_per_instance_of_sequences():
    t, p = RNG.random((2, 3, 4)), RNG.random((2, 3, 4))
    weights = np.array([1.0, 0.0])
    value = float(losses.MeanSquaredError()(t, p, weights))
    assert value == pytest.approx(((t - p) ** 2).mean(-1)[0].sum() / 6, rel=1e-5)


@pytest.mark.parametrize("shape", [(N + 1,), (1, N), (N, K)])
def test_weights_that_do_not_fit(shape):
    with pytest.raises(ShapeError, match="sample_weight"):
        losses.MeanSquaredError()(REAL, GUESS, np.ones(shape))


def test_zero_weights_give_zero():
    loss = losses.MeanSquaredError("mean_with_sample_weight")
    assert float(loss(REAL, GUESS, np.zeros(N))) == 0.0


SAME_SHAPE = sorted(
    set(CASES)
    - {
        "categorical_generalized_cross_entropy",
        "circle",
        "ctc",
        "sparse_categorical_crossentropy",
    }
)


@pytest.mark.parametrize("name", SAME_SHAPE)
@pytest.mark.parametrize(
    ("true", "pred", "fix"),
    [
        ((N,), (N, 1), "y[..., None]"),
        ((N, 1), (N,), "y[..., 0]"),
        ((N,), (N, K), "to_categorical(y)"),
        ((N, 1), (N, K), "to_categorical(y)"),
        ((N, K + 1), (N, K), "last layer's units"),
    ],
)
def test_shapes_are_never_broadcast(name, true, pred, fix):
    with pytest.raises(ShapeError) as caught:
        function_of(name)(np.ones(true), np.ones(pred))
    assert fix in str(caught.value)
    assert str(true) in str(caught.value)


def test_one_hot_labels_for_the_sparse_loss():
    with pytest.raises(ShapeError, match="One-hot labels go with categorical"):
        losses.sparse_categorical_crossentropy(ONE_HOT, PROBS)


def test_single_class_warns():
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy(np.ones((2, 1)), np.ones((2, 1)))


# -- user's losses -------------------------------------------------------------------


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    return ops.where(ops.abs(error) < 1, ops.square(error) / 2, ops.abs(error) - 0.5)


def test_user_function_is_wrapped():
    loss = losses.LossFunctionWrapper(huber_fn)
    assert loss.name == "huber_fn"
    value = float(loss(np.array([[0], [2]]), np.float32([[0.5], [0.0]])))
    assert value == pytest.approx((0.125 + 1.5) / 2)
    sparse = losses.LossFunctionWrapper(losses.sparse_categorical_crossentropy)
    expected = -np.log(PROBS[np.arange(N), INDEX]).mean()
    assert float(sparse(INDEX, PROBS)) == pytest.approx(expected, rel=1e-5)


def test_user_subclass():
    class Huber(losses.Loss):
        def __init__(self, threshold=1.0, **kwargs):
            super().__init__(**kwargs)
            self.threshold = threshold

        def call(self, y_true, y_pred):
            return losses.huber(y_true, y_pred, self.threshold)

        def get_config(self):
            return {**super().get_config(), "threshold": self.threshold}

    loss = Huber.from_config(Huber(2.0, name="h", reduction="sum").get_config())
    assert (loss.threshold, loss.name, loss.reduction) == (2.0, "h", "sum")
    expected = losses.huber(REAL, GUESS, 2.0).numpy().sum()
    assert float(loss(REAL, GUESS)) == pytest.approx(expected, rel=1e-5)
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()(REAL, GUESS)


def test_unknown_reduction():
    with pytest.raises(ValueError, match="'sum_over_batch_size'"):
        losses.MeanSquaredError(reduction="average")


def test_dtype_of_the_computation():
    loss = losses.MeanSquaredError(dtype="float64")
    assert loss(REAL.astype("float32"), GUESS).dtype == "float64"
    assert losses.MeanSquaredError()(REAL, GUESS).dtype == "float32"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("mse", "mean_squared_error"),
        ("MAE", "mean_absolute_error"),
        ("mape", "mean_absolute_percentage_error"),
        ("msle", "mean_squared_logarithmic_error"),
        ("bce", "binary_crossentropy"),
        ("kld", "kl_divergence"),
        ("logcosh", "log_cosh"),
    ],
)
def test_aliases(alias, name):
    assert losses.get(alias) is getattr(losses, name)


def test_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    assert float(losses.SparseCategoricalCrossentropy()(INDEX, PROBS)) == (
        pytest.approx(metrics.log_loss(INDEX, PROBS, labels=range(K)), rel=1e-5)
    )
    sign = SIGNS[:, :1]
    assert float(losses.Hinge()(sign, LOGITS[:, :1])) == pytest.approx(
        metrics.hinge_loss(sign[:, 0], LOGITS[:, 0]), rel=1e-5
    )
    assert float(losses.MeanSquaredLogarithmicError()(REAL, GUESS)) == pytest.approx(
        metrics.mean_squared_log_error(REAL, GUESS), rel=1e-5
    )
