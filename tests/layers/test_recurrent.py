# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers: states, masks, dropout, ops for sequences, wrappers.

Values and gradients against Keras: test_against_keras.py.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Input, Model, Sequential, layers, ops
from fastnn.autodiff.grad import GradientTape

X = np.random.default_rng(5).normal(size=(4, 6, 3)).astype("float64")
MASK = np.array(
    [[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 1], [0] * 6], bool
)
KINDS = ["SimpleRNN", "LSTM", "GRU"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: str, units: int = 5, dtype: str = "float64", **arguments: Any) -> Any:
    return getattr(layers, kind)(units, dtype=dtype, **arguments)


def twin(layer: Any, **changes: Any) -> Any:
    """The layer with other arguments and the same weights."""
    again = type(layer).from_config({**layer.get_config(), **changes})
    again.build((None, None, 3))
    again.set_weights(layer.get_weights())
    return again


def outcome(layer: Any, **options: Any) -> list[np.ndarray]:
    """Outputs, and gradients for the inputs and weights."""
    x = ops.convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        outputs = fastnn.tree.flatten(layer(x, **options))
        total = sum(ops.sum(ops.sin(y)) for y in outputs)
    sources = [x, *layer.trainable_weights]
    return [t.numpy() for t in [*outputs, *tape.gradient(total, sources)]]


def check_equal(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


# -- one op or step by step ------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_the_op_for_sequences_equals_the_cell_step_by_step(
    kind, masked, back, sequences
):
    layer = make(kind, return_sequences=sequences, return_state=True, go_backwards=back)
    options = {"mask": MASK} if masked else {}
    sizes = [5] if kind != "LSTM" else [5, 5]
    options["initial_state"] = [
        X[:, i, :1] * np.ones((4, n)) for i, n in enumerate(sizes)
    ]
    fused = outcome(layer, **options)
    check_equal(fused, outcome(twin(layer, unroll=True), **options))


@every_kind
def test_a_cell_of_a_subclass_runs_step_by_step(kind):
    cell = getattr(layers, f"{kind}Cell")

    class Doubled(cell):
        def call(self, inputs, states, training=False):
            y, new = super().call(inputs, states)
            return y * 2, new

    layer = make(kind)
    y = layer(X).numpy()
    layer.cell.__class__ = Doubled
    np.testing.assert_allclose(layer(X).numpy(), 2 * y)


@every_kind
def test_masked_steps_keep_state_and_output(kind):
    layer = make(kind, return_sequences=True)
    y = layer(X, mask=MASK).numpy()
    np.testing.assert_array_equal(y[0, 4:], np.repeat(y[0, 3:4], 2, 0))
    assert (y[1, :2] == 0).all()
    assert (y[3] == 0).all()
    short = layer(X[:1, :4]).numpy()
    np.testing.assert_allclose(y[:1, :4], short, rtol=1e-12)
    layer.zero_output_for_mask = True
    z = layer(X, mask=MASK).numpy()
    np.testing.assert_array_equal(z, np.where(MASK[..., None], y, 0))


@every_kind
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_nothing_comes_out_before_the_first_step_that_counts(kind, unroll, back):
    """Also from a state that is given: no step has made an output yet."""
    options = {"return_sequences": True, "go_backwards": back, "unroll": unroll}
    layer = make(kind, return_state=True, **options)
    start = [np.ones((4, 5))] * (2 if kind == "LSTM" else 1)
    y, *states = layer(X, initial_state=start, mask=MASK)
    order = MASK[:, ::-1] if back else MASK
    unseen = ~np.logical_or.accumulate(order, axis=1)
    assert unseen.any()
    np.testing.assert_array_equal((y.numpy() == 0).all(-1), unseen)
    never = ~MASK.any(1)
    assert all((s.numpy()[never] == 1).all() for s in states)
    layer.return_sequences = False
    last, *_ = layer(X, initial_state=start, mask=MASK)
    np.testing.assert_array_equal(last, y[:, -1])


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_plans_write_gates_only_for_a_way_back(kind):
    model = Sequential([Input((6, 3)), getattr(layers, kind)(5), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((4, 1)), verbose=0)
    name = kind.lower()
    trained = {i.op.name for i in model.plan().graph.nodes}
    assert {name, f"{name}_grad"} <= trained
    expected = model.layers[1](model.layers[0](X.astype("float32"))).numpy()
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-6)
    used = {i.op.name for i in model.plan("predict").graph.nodes}
    assert f"{name}_outputs" in used and name not in used


# -- states ----------------------------------------------------------------------------


@every_kind
def test_states_continue_a_sequence(kind):
    layer = make(kind, return_state=True)
    whole, *_ = layer(X)
    _, *states = layer(X[:, :4])
    rest, *_ = layer(X[:, 4:], initial_state=states)
    np.testing.assert_allclose(rest, whole, rtol=1e-12)


@every_kind
def test_stateful_layers_continue_until_they_are_reset(kind):
    layer = make(kind, stateful=True)
    whole = twin(layer, stateful=False) if layer.built else None
    first = layer(X[:, :4]).numpy()
    second = layer(X[:, 4:]).numpy()
    whole = twin(layer, stateful=False)(X).numpy()
    np.testing.assert_allclose(second, whole, rtol=1e-12)
    layer.reset_states()
    np.testing.assert_array_equal(layer(X[:, :4]).numpy(), first)
    with pytest.raises(ValueError, match="batch of 2"):
        layer(X[:2])
    assert len(layer.weights) == 3


def test_stateful_needs_a_batch_size():
    with pytest.raises(ValueError, match="batch_shape"):
        layers.LSTM(3, stateful=True)(Input((5, 3)))
    y = layers.LSTM(3, stateful=True)(Input(batch_shape=(4, 5, 3)))
    assert y.shape == (4, 3)


def test_stateful_in_fit_goes_through_the_plan():
    model = Sequential(
        [Input(batch_shape=(4, 6, 3)), layers.GRU(3, stateful=True), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x, y = np.concatenate([X, X]), np.ones((8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    state = model.layers[0].states[0].numpy()
    assert np.abs(state).max() > 0
    model.layers[0].reset_state()
    assert (model.layers[0].states[0].numpy() == 0).all()


def test_encoder_and_decoder_share_symbolic_states():
    source, target = Input((6, 3)), Input((4, 3))
    _, *states = layers.LSTM(5, return_state=True)(source)
    y = layers.LSTM(5, return_sequences=True)(target, initial_state=states)
    model = Model([source, target], layers.Dense(1)(y))
    x = X.astype("float32")
    _, *found = model.layers[2](x)
    expected = model.layers[3](x[:, :4], initial_state=found)
    np.testing.assert_allclose(
        model([x, x[:, :4]]), model.layers[-1](expected), rtol=1e-5, atol=1e-6
    )
    model.compile("adam", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit([x, x[:, :4]], np.ones((4, 4, 1)), verbose=0)


def test_states_of_another_number_are_refused():
    with pytest.raises(fastnn.errors.ShapeError, match="2 states"):
        make("LSTM")(X, initial_state=[np.zeros((4, 5))])


# -- cells -----------------------------------------------------------------------------


class Minimal(layers.Layer):
    """The cell of Keras's guide."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, self.units), name="u")

    def call(self, inputs, states):
        h = ops.matmul(inputs, self.kernel)
        y = ops.add(h, ops.matmul(states[0], self.recurrent_kernel))
        return y, [y]


class Bare:
    """A cell that is no layer; its output is wider than its state."""

    state_size = 3
    output_size = 6

    def call(self, inputs, states):
        state = ops.add(inputs, states[0])
        return ops.concatenate([state, inputs], axis=-1), state


def test_cells_of_users():
    layer = layers.RNN([Minimal(4), Minimal(2)], return_sequences=True, dtype="float64")
    y = layers.RNN(Minimal(4, dtype="float64"), dtype="float64")
    first = y(X).numpy()
    w, u = y.get_weights()
    state = np.zeros((4, 4))
    for t in range(6):
        state = X[:, t] @ w + state @ u
    np.testing.assert_allclose(first, state, rtol=1e-10)
    assert layer(X).shape == (4, 6, 2)
    bare = layers.RNN(Bare(), return_sequences=True, return_state=True, dtype="float64")
    outputs, last = bare(X, mask=MASK)
    kept = np.cumsum(X * MASK[..., None], 1)
    np.testing.assert_allclose(last.numpy(), kept[:, -1], rtol=1e-12)
    np.testing.assert_allclose(outputs.numpy()[..., :3], kept, rtol=1e-12, atol=1e-12)
    assert layers.RNN(Bare())(Input((5, 3))).shape == (None, 6)


def test_cells_of_users_train_in_the_plan():
    model = Sequential([Input((6, 3)), layers.RNN(Minimal(4)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, np.ones((4, 1)), verbose=0)


def test_long_sequences_of_other_activations_train_in_the_plan():
    x = np.random.default_rng(1).normal(size=(2, 300, 2))
    model = Sequential([Input((300, 2)), layers.LSTM(2, activation="relu")])
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, np.ones((2, 2)), verbose=0)


# -- dropout ---------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("unroll", [False, True])
def test_dropout_has_one_mask_for_all_steps_and_a_seed(kind, unroll):
    def layer(seed):
        made = make(
            kind, dropout=0.5, seed=seed, unroll=unroll, kernel_initializer="ones"
        )
        made.build((None, 6, 3))
        made.cell.recurrent_kernel.assign(np.zeros(made.cell.recurrent_kernel.shape))
        return made

    x = np.ones((50, 6, 3))
    steps = twin_sequences(layer(3), x)
    np.testing.assert_array_equal(steps, twin_sequences(layer(3), x))
    assert (steps != twin_sequences(layer(4), x)).any()
    if kind == "SimpleRNN":  # without a state every step shows the mask
        np.testing.assert_allclose(steps, np.repeat(steps[:, :1], 6, 1), rtol=1e-12)
    still = layer(3)(x).numpy()
    np.testing.assert_allclose(still, np.broadcast_to(still[0], still.shape))


def twin_sequences(layer: Any, x: np.ndarray) -> np.ndarray:
    layer.return_sequences = True
    return layer(x, training=True).numpy()


@every_kind
def test_recurrent_dropout_is_the_same_in_the_gradient(kind):
    layer = make(kind, recurrent_dropout=0.5, dropout=0.2, seed=11)
    layer.build((None, 6, 3))
    d = np.random.default_rng(2).normal(size=X.shape)

    def value(x: Any) -> Any:
        layer.cell.seed_generator.state.assign([11, 0])
        return ops.sum(ops.sin(layer(x, training=True)))

    x = ops.convert_to_tensor(X)
    with GradientTape() as tape:
        tape.watch(x)
        y = value(x)
    along = float(ops.sum(tape.gradient(y, x) * d))
    step = 1e-6
    numeric = float(value(X + step * d) - value(X - step * d)) / (2 * step)
    np.testing.assert_allclose(along, numeric, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@every_kind
def test_gradients_of_mixed_dropout_have_the_weights_dtype(kind, policy):
    layer = make(kind, recurrent_dropout=0.5, dropout=0.2, seed=11, dtype=policy)
    layer.build((None, 6, 3))

    def gradients(x: Any) -> Any:
        layer.cell.seed_generator.state.assign([11, 0])
        with GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(layer(x, training=True))
        return tape.gradient(y, [x, *layer.trainable_weights])

    x = X.astype("float32")
    eager = gradients(ops.convert_to_tensor(x))
    traced = fastnn.function(gradients)(x)
    assert {str(g.dtype) for g in [*eager, *traced]} == {"float32"}
    for a, b in zip(eager, traced, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=0.05, atol=0.05)


# -- wrappers --------------------------------------------------------------------------


def test_bidirectional_outputs_and_states():
    layer = layers.Bidirectional(
        layers.LSTM(5, return_sequences=True, return_state=True),
        merge_mode=None,
        dtype="float64",
    )
    found = layer(X)
    assert [tuple(t.shape) for t in found] == [(4, 6, 5)] * 2 + [(4, 5)] * 4
    shapes = layer.compute_output_shape((None, 6, 3))
    assert [s[1:] for s in shapes] == [t.shape[1:] for t in found]
    np.testing.assert_array_equal(found[1].numpy()[:, 0], found[4].numpy())
    again = layer(X, initial_state=list(found[2:]))
    first = layer.forward_layer(X, initial_state=list(found[2:4]))
    np.testing.assert_array_equal(again[0].numpy(), first[0].numpy())


def test_bidirectional_checks_its_layers():
    with pytest.raises(ValueError, match="different directions"):
        layers.Bidirectional(layers.LSTM(2), backward_layer=layers.LSTM(2))
    with pytest.raises(ValueError, match="same return_sequences"):
        layers.Bidirectional(
            layers.LSTM(2),
            backward_layer=layers.LSTM(2, go_backwards=True, return_sequences=True),
        )
    with pytest.raises(ValueError, match="merge_mode"):
        layers.Bidirectional(layers.LSTM(2), merge_mode="max")
    with pytest.raises(ValueError, match="must be a layer"):
        layers.Bidirectional(LSTM := "LSTM")  # noqa: F841


def test_stateful_bidirectional():
    layer = layers.Bidirectional(layers.GRU(3, stateful=True))
    first, second = layer(X).numpy(), layer(X).numpy()
    assert (first != second).any()
    layer.reset_states()
    np.testing.assert_array_equal(layer(X).numpy(), first)
    with pytest.raises(AttributeError, match="keeps no state"):
        layers.Bidirectional(layers.GRU(3)).reset_state()


def test_time_distributed_needs_steps():
    with pytest.raises(ValueError, match="three axes"):
        layers.TimeDistributed(layers.Dense(2))(X[:, 0])
    with pytest.raises(ValueError, match="begins with"):
        layers.TimeDistributed(layers.Softmax())(X, mask=MASK[:2])


def test_time_distributed_models_and_dropout():
    inner = Sequential([layers.Dense(4), layers.Dropout(0.5), layers.Dense(2)])
    layer = layers.TimeDistributed(inner)
    assert layer(X, training=True).shape == (4, 6, 2)
    model = Sequential([Input((6, 3)), layer, layers.LSTM(2)])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((4, 2)), verbose=0)


# -- arguments -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: layers.LSTM(0), "units must be a positive integer"),
        (lambda: layers.GRU(3, use_cudnn="yes"), "use_cudnn"),
        (lambda: layers.LSTM(3, unit=2), "unknown keyword arguments: unit"),
        (lambda: layers.RNN(layers.Dense(2)), "without state_size"),
        (lambda: layers.StackedRNNCells([object()]), "without call"),
        (lambda: layers.LSTM(3)(X[0]), "rank 3"),
        (lambda: layers.ConvLSTM2D(2, 2)(Input((3, None, 4, 1))), "known size"),
    ],
)
def test_mistakes_are_named(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_regularizers_and_constraints_reach_the_cell():
    layer = layers.LSTM(
        3,
        kernel_regularizer="l2",
        recurrent_regularizer="l1",
        activity_regularizer="l2",
        kernel_constraint="non_neg",
    )
    layer(X.astype("float32"))
    assert len(layer.losses) == 3
    assert layer.cell.kernel.constraint is layer.kernel_constraint
