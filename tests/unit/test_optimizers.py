# SPDX-License-Identifier: Apache-2.0
"""Every optimizer against its update rule in float64 NumPy, eagerly and planned."""

from __future__ import annotations

import numpy as np
import pytest
from optimizer_rules import RULES, adam, sgd

from fastnn import GradientTape, constraints, convert_to_tensor, optimizers
from fastnn.autodiff.tensor import Variable
from fastnn.graph.compile import function
from fastnn.optimizers import Optimizer, schedules
from fastnn.serialization import exported

RNG = np.random.default_rng(0)
START = [RNG.normal(size=(3, 4)), RNG.normal(size=4)]
STEPS = 20
GRADS = [[RNG.normal(size=w.shape) for w in START] for _ in range(STEPS)]


IDS = [f"{cls.__name__}-{'-'.join(kw) or 'plain'}" for cls, kw, _, _ in RULES]


def variables(dtype="float32"):
    return [Variable(w, dtype=dtype, name=n) for w, n in zip(START, "ab", strict=True)]


def train(optimizer, ws, grads=GRADS, *, planned=False):
    """Applies the gradients one step after the other."""
    optimizer.build(ws)

    def step(*gs):
        optimizer.apply(gs, ws)

    step = function(step) if planned else step
    for gs in grads:
        step(
            *(convert_to_tensor(g, dtype=w.dtype) for g, w in zip(gs, ws, strict=True))
        )
    return [w.numpy() for w in ws]


def expected(rule, lr, grads=GRADS):
    ws, states = list(START), [{} for _ in START]
    for t, gs in enumerate(grads, 1):
        ws = [rule(w, g, t, s, lr) for w, g, s in zip(ws, gs, states, strict=True)]
    return ws


def assert_close(got, want, rtol=2e-5):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10)


def test_no_optimizer_is_forgotten():
    classes = set(exported("keras.optimizers").values())
    # test_wrapping_optimizers.py has those that update nothing themselves.
    others = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap"}
    missing = classes - {case[0] for case in RULES}
    assert {cls.__name__ for cls in missing} == others


@pytest.mark.feature(
    "1A-22",
    "1C-23",
    "1C-24",
    "1C-25",
    "1C-26",
    "1C-27",
    "1C-28",
    "1C-29",
    "1C-30",
    "1C-31",
)
@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("cls", "kwargs", "rule", "lr"), RULES, ids=IDS)
def test_rules(cls, kwargs, rule, lr, dtype, planned):
    got = train(cls(**kwargs), variables(dtype), planned=planned)
    # learning_rate is a float32 variable, also for float64 weights.
    lr = float(np.float32(lr))
    assert_close(got, expected(rule, lr), 2e-5 if dtype == "float32" else 1e-7)


CLASSES = list(dict.fromkeys(case[0] for case in RULES))
OPTIONS = [
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 0.7},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2, "weight_decay": 0.1},
    {"loss_scale_factor": 8.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: next(iter(o)))
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_planned_is_eager_with_every_option(cls, options):
    eager, planned = cls(0.01, **options), cls(0.01, **options)
    a = train(eager, variables(), GRADS[:6])
    b = train(planned, variables(), GRADS[:6], planned=True)
    assert_close(b, a, 1e-6)
    for x, y in zip(eager.variables, planned.variables, strict=True):
        np.testing.assert_allclose(y.numpy(), x.numpy(), rtol=1e-5, atol=1e-7)


# -- clipping, averages, accumulation --


@pytest.mark.parametrize(
    ("option", "gradient"),
    [
        # Printed in the book: clipvalue changes the direction, clipnorm does not.
        ({"clipvalue": 1.0}, [0.9, 1.0]),
        ({"clipnorm": 1.0}, [0.00899964, 0.9999595]),
        ({"global_clipnorm": 1.0}, [0.00899964, 0.9999595]),
        ({}, [0.9, 100.0]),
    ],
)
def test_clipping(option, gradient):
    w = Variable(np.zeros(2, "float32"))
    optimizers.SGD(1.0, **option).apply([convert_to_tensor([0.9, 100.0])], [w])
    np.testing.assert_allclose(-w.numpy(), gradient, rtol=1e-6)


def test_global_norm_is_of_all_gradients():
    ws = [Variable(np.zeros(1, "float32"), name=n) for n in "ab"]
    grads = [convert_to_tensor([3.0]), convert_to_tensor([4.0])]
    optimizers.SGD(1.0, global_clipnorm=1.0).apply(grads, ws)
    np.testing.assert_allclose([-w.numpy()[0] for w in ws], [0.6, 0.8], rtol=1e-6)


def test_small_and_zero_gradients_are_not_scaled():
    w = Variable(np.zeros(2, "float32"))
    optimizer = optimizers.SGD(1.0, clipnorm=1.0)
    optimizer.apply([convert_to_tensor([0.0, 0.0])], [w])
    optimizer.apply([convert_to_tensor([0.3, 0.4])], [w])
    np.testing.assert_allclose(-w.numpy(), [0.3, 0.4], rtol=1e-6)


def test_moving_average():
    w = Variable(1.0)
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(3):
        optimizer.apply([convert_to_tensor(1.0)], [w])
    # Weights 0, -1, -2; the first one starts the average.
    assert float(w) == -2.0
    optimizer.finalize_variable_values([w])
    assert float(w) == 0.5 * (0.5 * 0.0 + 0.5 * -1.0) + 0.5 * -2.0


def test_accumulated_gradients_update_with_their_mean():
    steps, grads = 3, GRADS[:6]
    means = [
        [np.mean([gs[i] for gs in grads[k : k + steps]], axis=0) for i in range(2)]
        for k in range(0, len(grads), steps)
    ]
    for cls, rule in ((optimizers.SGD, sgd), (optimizers.Adam, adam)):
        optimizer = cls(0.1, gradient_accumulation_steps=steps)
        got = train(optimizer, variables(), grads)
        assert_close(got, expected(rule, 0.1, means))
        assert int(optimizer.iterations) == len(grads) // steps
        partial = train(
            cls(0.1, gradient_accumulation_steps=steps), variables(), GRADS[:2]
        )
        assert_close(partial, START)


def test_weight_decay_can_leave_variables_out():
    ws = variables()
    optimizer = optimizers.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["b$"])
    zeros = [[np.zeros_like(w) for w in START]]
    a, b = train(optimizer, ws, zeros)
    assert_close([a, b], [START[0] * 0.95, START[1]])
    optimizer.exclude_from_weight_decay(var_list=ws[:1])  # another choice
    a, b = train(optimizer, ws, zeros)
    assert_close([a, b], [START[0] * 0.95, START[1] * 0.95])


@pytest.mark.feature("4G-78")
def test_constraints_follow_the_update():
    w = Variable(np.float32([1.0, 1.0]))
    w.constraint = constraints.NonNeg()
    optimizers.SGD(1.0).apply([convert_to_tensor([3.0, 0.5])], [w])
    np.testing.assert_array_equal(w.numpy(), [0.0, 0.5])


# -- the learning rate --


def test_learning_rate_is_a_settable_variable():
    optimizer = optimizers.SGD(0.1)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.get_config()["learning_rate"] == 0.25
    assert optimizers.SGD(1).get_config()["learning_rate"] == 1.0


def test_a_config_without_a_learning_rate_has_the_default_one():
    """As in Keras: Adam.from_config({}) learns at 0.001."""
    for name, rate in (("Adam", 0.001), ("SGD", 0.01), ("Ftrl", 0.001)):
        made = optimizers.deserialize({"class_name": name, "config": {}})
        assert float(made.learning_rate) == np.float32(rate)


@pytest.mark.feature("1C-39")
@pytest.mark.parametrize("planned", [False, True])
def test_schedule_counts_updates(planned):
    schedule = schedules.PiecewiseConstantDecay([1, 3], [1.0, 0.1, 0.01])
    w = Variable(0.0)
    optimizer = optimizers.SGD(schedule)
    optimizer.build([w])

    def step(g):
        optimizer.apply([g], [w])

    step = function(step) if planned else step
    for _ in range(6):
        step(convert_to_tensor(1.0))
    assert -float(w) == pytest.approx(2 * 1.0 + 2 * 0.1 + 2 * 0.01)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    with pytest.raises(TypeError, match="PiecewiseConstantDecay"):
        optimizer.learning_rate = 0.5


def test_rate_from_a_function_and_back_to_a_schedule():
    optimizer = optimizers.SGD(lambda: 0.5)
    w = Variable(0.0)
    optimizer.apply([convert_to_tensor(1.0)], [w])
    assert float(w) == -0.5
    other = optimizers.SGD(0.1)
    other.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
    assert [v.name for v in other.variables] == ["iteration"]


@pytest.mark.feature("1C-33")
@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_old_spellings(cls):
    with pytest.warns(FutureWarning, match="learning_rate") as caught:
        optimizer = cls(lr=0.5)
    assert caught[0].filename == __file__
    with pytest.warns(FutureWarning, match="learning_rate"):
        assert float(optimizer.lr) == 0.5
    with pytest.warns(FutureWarning, match="learning_rate"):
        optimizer.lr = 0.25
    assert float(optimizer.learning_rate) == 0.25
    with pytest.raises(ValueError, match="rate"):
        cls(rate=0.5)


# -- state --


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        (optimizers.SGD(), []),
        (optimizers.SGD(momentum=0.9), ["a_momentum", "b_momentum"]),
        (
            optimizers.Adam(amsgrad=True),
            [
                "a_momentum",
                "a_velocity",
                "b_momentum",
                "b_velocity",
                "a_velocity_hat",
                "b_velocity_hat",
            ],
        ),
    ],
)
def test_order_of_variables_is_that_of_keras(optimizer, names):
    optimizer.build(variables())
    assert [v.name for v in optimizer.variables] == [
        "iteration",
        "learning_rate",
        *names,
    ]
    assert optimizer.variables[0].dtype == "int64"
    assert optimizer.variables[0].path == f"{optimizer.name}/iteration"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_saved_state_continues_where_it_stopped(cls):
    whole = train(cls(0.01), variables())
    first, ws = cls(0.01), variables()
    train(first, ws, GRADS[:3])
    store = {}
    first.save_own_variables(store)
    second = optimizers.get(optimizers.serialize(first))
    second.build(ws)
    second.load_own_variables(store)
    assert_close(train(second, ws, GRADS[3:]), whole, 2e-6)
    with pytest.raises(ValueError, match="variables"):
        cls().set_weights([*store.values(), np.zeros(1)])


def test_missing_gradients():
    a, b = variables()
    optimizer = optimizers.SGD(1.0)
    grad = convert_to_tensor(GRADS[0][0], dtype="float32")
    with pytest.warns(UserWarning, match=r"\['b'\]"):
        counter = optimizer.apply_gradients([(grad, a), (None, b)])
    assert int(counter) == 1
    assert_close([a.numpy(), b.numpy()], [START[0] - GRADS[0][0], START[1]])
    with pytest.raises(ValueError, match="all gradients are None"):
        optimizer.apply([None, None], [a, b])


def test_variables_are_fixed_once_built():
    ws = variables()
    optimizer = optimizers.SGD()
    grads = [convert_to_tensor(g, dtype="float32") for g in GRADS[0]]
    with pytest.raises(ValueError, match="build"):
        optimizer.apply(grads)
    optimizer.apply(grads[:1], ws[:1])
    with pytest.raises(ValueError, match="does not know variable b"):
        optimizer.apply(grads, ws)
    with pytest.raises(ValueError, match="2 gradients for 1"):
        optimizer.apply(grads)
    optimizer.apply([])


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 1.0, "clipvalue": 1.0},
        {"gradient_accumulation_steps": 1},
        {"use_ema": True, "ema_momentum": 2.0},
        {"use_ema": True, "ema_overwrite_frequency": 0},
        {"momentum": -0.1},
    ],
)
def test_wrong_options(options):
    with pytest.raises(ValueError, match=r"\[SGD\]"):
        optimizers.SGD(**options)
    with pytest.raises(ValueError, match="AdamW"):
        optimizers.AdamW(weight_decay=None)


@pytest.mark.parametrize("rate", ["fast", None, [0.1]])
def test_a_rate_that_is_no_number_is_named(rate):
    with pytest.raises(TypeError, match=r"\[Adam\] learning_rate must be a number"):
        optimizers.Adam(rate)
    optimizer = optimizers.Adam(0.1, name="a")
    with pytest.raises(TypeError, match=r"\[a\] learning_rate must be a number"):
        optimizer.learning_rate = rate


def test_user_optimizer():
    class Signs(Optimizer):
        def build(self, variables):
            super().build(variables)
            self.counts = self.add_optimizer_variables(variables, "count", "ones")

        def update_step(self, gradient, variable, learning_rate):
            slot = self.counts[self._get_variable_index(variable)]
            self.assign_add(slot, 1.0)
            self.assign_sub(variable, gradient * learning_rate / slot.value)

    w = Variable(0.0)
    optimizer = Signs(1.0)
    for _ in range(2):
        optimizer.apply([convert_to_tensor(1.0)], [w])
    assert float(w) == pytest.approx(-(1 / 2 + 1 / 3))
    with pytest.raises(NotImplementedError, match="update_step"):
        Optimizer(1.0).apply([convert_to_tensor(1.0)], [w])
    assert optimizers.get(optimizer) is optimizer
    with pytest.raises(ValueError, match="not an Optimizer"):
        optimizers.get(abs)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "ftrl"])
def test_eager_updates_write_what_nobody_else_holds(name: str) -> None:
    """The variable's own memory, without a change to what was read from it before."""
    start = np.linspace(-1, 1, 600, dtype="float32").reshape(20, 30)
    g = convert_to_tensor(np.cos(start))
    held, free = Variable(start.copy()), Variable(start.copy())
    both = []
    for v in (held, free):
        optimizer = optimizers.get(name)
        optimizer.build([v])
        both.append(optimizer)
    for step in range(3):
        kept = [held.value, np.asarray(held), held[2:5]]
        values = [np.array(k) for k in kept]
        address = free._array.ctypes.data
        for optimizer, v in zip(both, (held, free), strict=True):
            optimizer.apply([g], [v])
        if step:
            assert free._array.ctypes.data == address
        assert held._array is not kept[1]
        for now, before in zip(kept, values, strict=True):
            np.testing.assert_array_equal(now, before)
        np.testing.assert_array_equal(held, free)


def test_an_update_under_a_tape_leaves_what_the_tape_holds() -> None:
    v = Variable([1.0, 2.0])
    optimizer = optimizers.SGD(0.5)
    optimizer.build([v])
    with GradientTape(persistent=True) as tape:
        y = v * v * v
    for _ in range(2):
        optimizer.apply([convert_to_tensor([1.0, 1.0])], [v])
    assert v.numpy().tolist() == [0.0, 1.0]
    assert tape.gradient(y, v).numpy().tolist() == [3.0, 12.0]
