# SPDX-License-Identifier: Apache-2.0
"""StatelessScope and the stateless methods: variables as arguments and results.

The oracle is the same work with side effects, and NumPy.
"""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import keras, ops, tf

L = keras.layers
X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
MODES = pytest.mark.parametrize("mode", [lambda g: g, tf.function], ids=["eager", "f"])


def model(seed: int = 0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((3,)),
            L.Dense(4, activation="relu", kernel_regularizer="l2"),
            L.BatchNormalization(),
            L.Dropout(0.5, seed=1),
            L.Dense(1),
        ]
    )


def values(variables):
    return [v.numpy().copy() for v in variables]


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ---- the scope ---------------------------------------------------------------------


@MODES
def test_values_hold_inside_and_nothing_lasts(mode) -> None:
    v, other = tf.Variable([1.0, 2.0]), tf.Variable(5.0)
    scope = keras.StatelessScope([(v, [3.0, 4.0])])

    @mode
    def run():
        with scope:
            v.assign(v * 2)
            other.assign_add(1.0)
            inside = v + other
        return inside, v + 0.0, scope.get_current_value(v)

    inside, after, kept = run()
    np.testing.assert_array_equal(inside, [12.0, 14.0])
    np.testing.assert_array_equal(after, [1.0, 2.0])
    np.testing.assert_array_equal(kept, [6.0, 8.0])
    assert v.numpy().tolist() == [1.0, 2.0] and float(other) == 5.0


def test_what_is_neither_given_nor_assigned_is_none() -> None:
    v = tf.Variable(1.0)
    with keras.StatelessScope() as scope:
        assert scope.get_current_value(v) is None
        scope.add_update((v, 2.0))
        assert float(v) == 2.0
        scope.add_loss(3.0)
    assert float(scope.get_current_value(v)) == 2.0 and scope.losses == [3.0]
    assert float(v) == 1.0


def test_an_array_assigned_inside_is_not_written_into_what_was_given() -> None:
    v, given = tf.Variable([1.0]), ops.convert_to_tensor(np.float32([7.0]))
    with keras.StatelessScope([(v, given)]):
        v.assign(np.float32([9.0]))
        assert v.numpy() == [9.0]
    assert given.numpy() == [7.0] and v.numpy() == [1.0]


def test_scopes_inside_scopes() -> None:
    v = tf.Variable(1.0)
    with keras.StatelessScope([(v, 2.0)]) as outer:
        with keras.StatelessScope([(v, 3.0)]) as inner:
            v.assign_add(1.0)
        assert float(v) == 2.0
    found = float(inner.get_current_value(v)), float(outer.get_current_value(v))
    assert (*found, float(v)) == (4.0, 2.0, 1.0)


def test_a_branch_assigns() -> None:
    v = tf.Variable(1.0)

    @tf.function
    def run(flag):
        with keras.StatelessScope([(v, 5.0)]) as scope:
            ops.cond(flag, lambda: v.assign(v * 2), lambda: v)
        return scope.get_current_value(v), v + 0.0

    for flag, expected in ((True, 10.0), (False, 5.0)):
        kept, after = run(ops.convert_to_tensor(flag))
        assert (float(kept), float(after)) == (expected, 1.0)


def test_exceptions_leave_variables_as_they_were() -> None:
    v = tf.Variable(1.0)
    with pytest.raises(KeyError), keras.StatelessScope([(v, 2.0)]):
        raise KeyError
    assert float(v) == 1.0
    v.assign(4.0)
    assert float(v) == 4.0


@pytest.mark.parametrize("mapping", [[(3, 4.0)], [(np.zeros(2), np.zeros(2))]])
def test_keys_must_be_variables(mapping) -> None:
    with pytest.raises(ValueError, match="in the place of a variable"):
        keras.StatelessScope(mapping)


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), received \(3,\)"):
        keras.StatelessScope([(tf.Variable([1.0, 2.0]), [1.0, 2.0, 3.0])])


# ---- layers ------------------------------------------------------------------------


@MODES
def test_stateless_call_is_the_call(mode) -> None:
    first, second = model(), model(1)
    trained = values(second.trainable_variables)
    others = values(first.non_trainable_variables)
    before = values(first.variables)
    outputs, updated, losses = mode(
        lambda: first.stateless_call(
            trained, others, X, training=True, return_losses=True
        )
    )()
    assert same(values(first.variables), before)
    for v, value in zip(first.trainable_variables, trained, strict=True):
        v.assign(value)
    np.testing.assert_array_equal(outputs, first(X, training=True))
    assert same(updated, values(first.non_trainable_variables))
    assert [float(x) for x in losses] == [float(x) for x in first.losses]
    assert not np.array_equal(updated[0], others[0])  # the moving mean moved


@MODES
def test_gradients_reach_the_values(mode) -> None:
    net = model()
    others = values(net.non_trainable_variables)
    given = [ops.convert_to_tensor(1.5 * v.numpy()) for v in net.trainable_variables]

    @mode
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs, _ = net.stateless_call(given, others, X, training=False)
            loss = ops.sum(outputs**2)
        return tape.gradient(loss, given)

    found = gradients()
    for v, value in zip(net.trainable_variables, given, strict=True):
        v.assign(value)
    with tf.GradientTape() as tape:
        loss = ops.sum(net(X, training=False) ** 2)
    for a, b in zip(found, tape.gradient(loss, net.trainable_variables), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_small_batch_does_not_take_the_plan_of_before() -> None:
    net = keras.Sequential([keras.Input((3,)), L.Dense(2, use_bias=False)])
    for _ in range(3):
        plain = net(X).numpy()  # from the second call on a plan
    doubled, _ = net.stateless_call([2 * net.weights[0].numpy()], [], X)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-6)


@pytest.mark.parametrize(("trained", "others"), [(0, 3), (6, 0)])
def test_numbers_of_values(trained, others) -> None:
    net = model()
    own = values(net.trainable_variables)[:trained]
    rest = values(net.non_trainable_variables)[:others]
    with pytest.raises(ValueError, match="one value for each of the"):
        net.stateless_call(own, rest, X)


def test_a_layer_must_be_built() -> None:
    with pytest.raises(ValueError, match="build it"):
        L.Dense(3).stateless_call([], [], X)


# ---- optimizers and metrics --------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adafactor", "Muon", "Lion"])
def test_stateless_apply_is_apply(name) -> None:
    v = tf.Variable(np.arange(6.0, dtype="float32").reshape(2, 3))
    optimizer = getattr(keras.optimizers, name)(0.1, use_ema=True)
    optimizer.build([v])
    own, trained = values(optimizer.variables), values([v])
    given = list(trained)
    for step in range(3):
        gradient = ops.convert_to_tensor(np.cos(given[0] + step))
        given, own = optimizer.stateless_apply(own, [gradient], given)
        given, own = [np.array(a) for a in given], [np.array(a) for a in own]
    assert same(values([v]), trained) and int(optimizer.iterations) == 0
    for step in range(3):
        optimizer.apply([ops.convert_to_tensor(np.cos(v.numpy() + step))])
    assert same([np.array(a) for a in given], values([v]))
    assert same([np.array(a) for a in own], values(optimizer.variables))


def test_stateless_apply_needs_build() -> None:
    with pytest.raises(ValueError, match=r"needs build\(trainable_variables\) first"):
        keras.optimizers.SGD().stateless_apply([], [], [])


@pytest.mark.parametrize("name", ["Mean", "RootMeanSquaredError", "AUC", "F1Score"])
def test_stateless_metrics(name) -> None:
    metric, plain = getattr(keras.metrics, name)(), getattr(keras.metrics, name)()
    rng = np.random.default_rng(0)
    batches = [
        (rng.integers(0, 2, (8, 3)).astype("float32"), rng.random((8, 3), "float32"))
        for _ in range(3)
    ]
    if name == "Mean":
        batches = [(y_pred,) for _, y_pred in batches]
    metric.update_state(*batches[0])
    before = values(metric.variables)
    state = metric.stateless_reset_state()
    for batch in batches:
        state = metric.stateless_update_state(state, *batch)
        plain.update_state(*batch)
    np.testing.assert_allclose(metric.stateless_result(state), plain.result())
    assert same(values(metric.variables), before)
    with pytest.raises(ValueError, match="metric_variables must have one value"):
        metric.stateless_result(state[:-1])
