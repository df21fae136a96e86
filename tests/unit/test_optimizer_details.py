# SPDX-License-Identifier: Apache-2.0
"""Optimizers beside recorded results of torch, at their corners, and in groups."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from optimizer_rules import RULES

from fastnn import _core, convert_to_tensor, optimizers
from fastnn.autodiff.tensor import Variable
from fastnn.graph.compile import function
from fastnn.graph.passes import optimize
from fastnn.graph.plan import Plan
from fastnn.graph.trace import trace
from fastnn.opset import Spec

# Computed by several ops each: a plan has no groups of them.
COMPOSED = (optimizers.Adafactor, optimizers.ScheduleFreeAdamW)
CLASSES = list(dict.fromkeys(case[0] for case in RULES))
IDS = {"ids": lambda cls: cls.__name__}


def run(optimizer, w, grads):
    optimizer.build([w])
    for g in grads:
        optimizer.apply([convert_to_tensor(g, dtype=w.dtype)], [w])
    return w.numpy()


# Start and gradients of the recorded runs: 20 steps, float64.
START = np.array([0.5, -1.0, 2.0, 0.0, -0.25])
GRADS = [np.sin(np.arange(5) * 1.7 + t) * (1 + 0.1 * t) for t in range(20)]

# Weights after 20 steps by torch.optim (2.13, float64, foreach=False); epsilon 1e-16
# where the formulas put it in different places; rates that float32 has.
TORCH = [
    (
        "SGD",
        {"learning_rate": 0.125, "momentum": 0.9},
        [
            -0.09792804514213904,
            -1.255396216279364,
            2.66374083780515,
            0.08435751109877976,
            -0.9354788395202511,
        ],
    ),
    (
        "SGD",
        {"learning_rate": 0.125, "momentum": 0.9, "nesterov": True},
        [
            0.146284682322064,
            -1.5424650431188052,
            2.493502585985221,
            0.4152948608692068,
            -0.8505194986496663,
        ],
    ),
    (
        "RMSprop",
        {"learning_rate": 0.015625, "rho": 0.8, "epsilon": 1e-16},
        [
            0.4816605815470359,
            -1.0343466039202582,
            2.0491670227067105,
            0.031187198174721275,
            -0.29546570293085095,
        ],
    ),
    (
        "RMSprop",
        {
            "learning_rate": 0.015625,
            "rho": 0.8,
            "momentum": 0.5,
            "centered": True,
            "epsilon": 1e-16,
        },
        [
            0.42981805946320484,
            -1.0525865208444343,
            2.133582386546862,
            0.040161052979625786,
            -0.3677646681167318,
        ],
    ),
    (
        "Adam",
        {"learning_rate": 0.125, "epsilon": 1e-16},
        [
            0.18188004413997577,
            -1.227432288937551,
            2.4542157832313185,
            0.15549407523167028,
            -0.6925343069530291,
        ],
    ),
    (
        "Adam",
        {"learning_rate": 0.125, "amsgrad": True, "epsilon": 1e-16},
        [
            0.18188004413997577,
            -1.227418153988264,
            2.4542250838147224,
            0.15549407523167028,
            -0.6925379169758427,
        ],
    ),
    (
        "AdamW",
        {"learning_rate": 0.125, "weight_decay": 0.05, "epsilon": 1e-16},
        [
            0.1557025918157416,
            -1.0844708728202643,
            2.1704954640438245,
            0.137754998001189,
            -0.6161647069641635,
        ],
    ),
    (
        "Adamax",
        {"learning_rate": 0.125, "epsilon": 1e-16},
        [
            0.27447602619971845,
            -1.2074629983651617,
            2.36577732580177,
            0.14879013180231263,
            -0.6083201489700337,
        ],
    ),
    (
        "Nadam",
        {"learning_rate": 0.125, "epsilon": 1e-16},
        [
            0.3861744072732678,
            -1.1387768934845768,
            2.2308338889904293,
            0.11599972540026596,
            -0.4635596162448998,
        ],
    ),
    (
        "Adagrad",
        {"learning_rate": 0.125, "epsilon": 1e-16},
        [
            0.41258708258844645,
            -1.0999860862106088,
            2.146587282283351,
            0.08256105883477047,
            -0.4038836654392678,
        ],
    ),
    (
        "Adadelta",
        {"learning_rate": 1.0, "epsilon": 1e-06},
        [
            0.5042231555689648,
            -1.0095317238125305,
            2.000599781515981,
            0.010570565932972098,
            -0.252326981910689,
        ],
    ),
]


@pytest.mark.parametrize(("name", "options", "want"), TORCH)
def test_recorded_torch(name, options, want):
    optimizer = getattr(optimizers, name)(**options)
    got = run(optimizer, Variable(START, dtype="float64"), GRADS)
    # torch keeps the product of Nadam's momenta in float32.
    np.testing.assert_allclose(got, want, rtol=2e-8 if name == "Nadam" else 1e-10)


@pytest.mark.parametrize("cls", CLASSES, **IDS)
def test_zero_gradients_move_nothing(cls):
    start = np.float32([[0.5, -2.0], [0.0, 3.0]])
    options = {"weight_decay": None, "adam_weight_decay": None}
    known = inspect.signature(cls).parameters
    options = {
        k: v for k, v in options.items() if k in known and cls.__name__ != "AdamW"
    }
    if cls is optimizers.AdamW:
        options = {"weight_decay": 0.0}
    if cls is optimizers.Ftrl:
        return  # its weights are a function of the gradients, not of where they were
    for shape in ((2, 2), (4,)):
        w = run(
            cls(0.1, **options), Variable(start.reshape(shape)), [np.zeros(shape)] * 3
        )
        # 0.1 z + 0.9 x of equal z and x rounds.
        rtol = 1e-7 if cls is optimizers.ScheduleFreeAdamW else 0
        np.testing.assert_allclose(w, start.reshape(shape), rtol=rtol)


def test_ftrl_starts_from_no_gradients_at_zero():
    w = run(optimizers.Ftrl(0.1), Variable(np.float32([0.5, -1.0])), [np.zeros(2)])
    np.testing.assert_array_equal(w, 0.0)


@pytest.mark.parametrize(
    ("cls", "step"),
    [
        # The corrected moments of the first step are g and g^2.
        (optimizers.Adam, 0.1),
        (optimizers.Adamax, 0.1),
        (optimizers.Lion, 0.1),
        (optimizers.RMSprop, 0.1 / np.sqrt(0.1)),
        (optimizers.Adagrad, 0.1 * 4 / np.sqrt(16 + 0.1)),
        (optimizers.SGD, 0.4),
    ],
)
def test_first_step(cls, step):
    w = run(cls(0.1), Variable(np.float32([1.0, 1.0])), [[4.0, -4.0]])
    np.testing.assert_allclose(w, [1 - step, 1 + step], rtol=1e-5)


def test_lamb_is_as_long_as_the_weights_say():
    start = np.random.default_rng(0).normal(size=(70, 90)).astype("float32")
    w = run(optimizers.Lamb(0.01), Variable(start), [np.ones((70, 90))])
    ratio = np.linalg.norm(w - start) / np.linalg.norm(start)
    assert ratio == pytest.approx(0.01, rel=1e-5)
    # No weights: the ratio is 1, and Adam's first step is the learning rate.
    w = run(optimizers.Lamb(0.01), Variable(np.zeros(3, "float32")), [np.ones(3)])
    np.testing.assert_allclose(w, -0.01, rtol=1e-5)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
def test_muon_steps_are_nearly_orthogonal(shape):
    g = np.random.default_rng(1).normal(size=shape)
    w = run(
        optimizers.Muon(1.0, rms_rate=None, weight_decay=None),
        Variable(np.zeros(shape, "float32")),
        [g],
    )
    values = np.linalg.svd(w, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_muon_leaves_vectors_embeddings_and_named_layers_to_adam():
    ws = [
        Variable(np.zeros(shape, "float32"), name=name)
        for shape, name in (
            ((3, 4), "kernel"),
            ((4,), "bias"),
            ((3, 4), "embeddings"),
            ((3, 4), "head"),
        )
    ]
    optimizer = optimizers.Muon(exclude_layers=["^head"])
    optimizer.build(ws)
    assert [v.name for v in optimizer.variables[2:]] == [
        "kernel_momentum",
        "bias_momentum",
        "bias_velocity",
        "embeddings_momentum",
        "embeddings_velocity",
        "head_momentum",
        "head_velocity",
    ]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: optimizers.Ftrl(initial_accumulator_value=-1.0), "accumulator"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power"),
        (
            lambda: optimizers.Ftrl(l1_regularization_strength=-1.0),
            "l1_regularization_strength",
        ),
        (lambda: optimizers.Lion(beta_1=0.0), "beta_1"),
    ],
)
def test_wrong_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize("cls", CLASSES, **IDS)
def test_config_rebuilds_it(cls):
    optimizer = cls(0.25)
    again = optimizers.get(optimizers.serialize(optimizer))
    assert type(again) is cls
    assert again.get_config() == optimizer.get_config()
    assert type(optimizers.get(cls.__name__.lower())) is cls
    own = set(inspect.signature(cls).parameters) - {"kwargs"}
    assert set(optimizer.get_config()) == own


def test_another_update_step_gets_decayed_weights():
    class Half(optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            self.assign(variable, variable.value * 0.5)

    class More(optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient * 2.0, variable, learning_rate)

    w = run(Half(0.1, weight_decay=1.0), Variable(np.ones(2, "float32")), [[0.0, 0.0]])
    np.testing.assert_allclose(w, 0.45, rtol=1e-6)
    w = run(More(0.1, weight_decay=1.0), Variable(np.ones(2, "float32")), [[1.0, 0.0]])
    np.testing.assert_allclose(w, [0.7, 0.9], rtol=1e-6)


# -- groups --

SHAPES = [(100,), (20, 30), (7, 5, 3), (1,), (), (33,)] * 3


def plan_of(optimizer, ws, *, between=lambda ws: None):
    optimizer.build(ws)

    def step(*grads):
        optimizer.apply(grads, ws)
        between(ws)

    graph, _ = trace(step, [Spec(w.shape, w.dtype) for w in ws])
    return Plan(optimize(graph))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("cls", CLASSES, **IDS)
def test_groups_give_the_bits_of_single_updates(cls, threads):
    rng = np.random.default_rng(2)
    values = [rng.normal(size=s).astype("float32") for s in SHAPES]
    grads = [rng.normal(size=s).astype("float32") for s in SHAPES]
    alone = [
        run(cls(0.01), Variable(v), [g] * 3) for v, g in zip(values, grads, strict=True)
    ]
    ws = [Variable(v, name=f"w{i}") for i, v in enumerate(values)]
    before = _core.num_threads()
    try:
        _core.set_num_threads(threads)
        plan = plan_of(cls(0.01), ws)
        plan.cost = 1e12  # all threads, however little there is to do
        plan.run(grads, steps=3)
    finally:
        _core.set_num_threads(before)
    sizes = [row["group"] for row in plan._native.instructions()]
    assert cls in COMPOSED or max(sizes) >= 6  # the vectors at least
    assert sum(sizes) == len(sizes)
    for w, want in zip(ws, alone, strict=True):
        np.testing.assert_array_equal(w.numpy(), want)


def test_updates_of_different_kinds_do_not_mix():
    ws = [Variable(np.ones(3, d)) for d in ("float32", "float64", "float32", "float64")]
    optimizer = optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_list=[ws[2]])
    plan = plan_of(optimizer, ws)
    plan.run([np.ones(3, w.dtype) for w in ws])
    for w, want in zip(ws, (0.45, 0.45, 0.5, 0.45), strict=True):
        np.testing.assert_allclose(w.numpy(), want, rtol=1e-6)


def test_what_reads_a_weight_between_two_updates_sees_it_updated():
    seen = Variable(np.zeros(3, "float32"))
    ws = [Variable(np.ones(3, "float32")) for _ in range(2)]
    first, second = optimizers.SGD(1.0), optimizers.SGD(1.0)

    @function
    def step(g):
        first.apply([g], ws[:1])
        second.apply([g + ws[0]], ws[1:])
        seen.assign(ws[0].value + ws[1].value)

    for optimizer, w in ((first, ws[:1]), (second, ws[1:])):
        optimizer.build(w)
    step(np.full(3, 0.25, "float32"))
    np.testing.assert_array_equal(ws[0].numpy(), 0.75)
    np.testing.assert_array_equal(ws[1].numpy(), 0.0)
    np.testing.assert_array_equal(seen.numpy(), 0.75)


def test_an_update_of_the_rate_itself_stays_alone():
    """The rate is a weight of the group before: later updates read the new one."""
    rate = Variable(np.float32(0.5))
    ws = [rate, *(Variable(np.ones((), "float32")) for _ in range(2))]
    optimizer = optimizers.SGD(lambda: rate.value)
    optimizer.build(ws)

    @function
    def step(g):
        for w in ws:
            optimizer.update_step(g, w, rate.value)

    step(np.float32(0.5))
    np.testing.assert_array_equal([w.numpy() for w in ws], [0.25, 0.875, 0.875])


def test_gradients_in_another_dtype_add_up():
    """Those of a layer that steps through time may be bfloat16 in a mixed policy."""
    w = Variable(np.ones(3, "float32"))
    optimizer = optimizers.SGD(0.5, gradient_accumulation_steps=2)
    for value in (1.0, 3.0):
        grad = convert_to_tensor(np.full(3, value, "float32"), "bfloat16")
        optimizer.apply([grad], [w])
    np.testing.assert_array_equal(w.numpy(), np.zeros(3, "float32"))


def test_signatures_are_those_of_keras():
    """Names, order and defaults, as in the documentation of Keras 3."""
    text = (Path(__file__).parent / "optimizer_signatures.txt").read_text()
    wanted = dict(line.split(" ", 1) for line in text.splitlines())
    for cls in CLASSES:
        given = ", ".join(
            f"{name}={p.default!r}"
            if p.kind is p.POSITIONAL_OR_KEYWORD
            else f"**{name}"
            for name, p in inspect.signature(cls).parameters.items()
        )
        assert f"({given})" == wanted[cls.__name__]
