# SPDX-License-Identifier: Apache-2.0
"""Update rules of all optimizers in float64 NumPy, from the papers and Keras' docs.

One function per rule: (w, g, t from 1, state dict, learning rate) -> w.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fastnn import optimizers


def sgd(w, g, t, s, lr):
    return w - lr * g


def momentum(w, g, t, s, lr, nesterov=False):
    m = s["m"] = 0.9 * s.get("m", 0) - lr * g
    return w + (0.9 * m - lr * g if nesterov else m)


def rmsprop(w, g, t, s, lr, rho=0.9, mu=0.0, centered=False):
    v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
    if centered:
        s["a"] = rho * s.get("a", 0) + (1 - rho) * g
        v = v - s["a"] ** 2
    s["m"] = mu * s.get("m", 0) + lr * g / np.sqrt(v + 1e-7)
    return w - s["m"]


def moments(g, t, s, b1=0.9, b2=0.999):
    """The averages of g and g^2, corrected for their start at 0."""
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    return s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)


def adam(w, g, t, s, lr, amsgrad=False, b1=0.9, b2=0.999, eps=1e-7):
    moments(g, t, s, b1, b2)
    v = s["v"]
    if amsgrad:
        v = s["top"] = np.maximum(s.get("top", 0), v)
    alpha = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
    return w - alpha * s["m"] / (np.sqrt(v) + eps)


def adamax(w, g, t, s, lr, b1=0.9, b2=0.999):
    m, _ = moments(g, t, s, b1)
    u = s["u"] = np.maximum(b2 * s.get("u", 0), np.abs(g))
    return w - lr * m / (u + 1e-7)


def nadam(w, g, t, s, lr, b1=0.9):
    now, then = (b1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
    p = s["p"] = s.get("p", 1) * now
    _, v = moments(g, t, s, b1)
    m = then * s["m"] / (1 - p * then) + (1 - now) * g / (1 - p)
    return w - lr * m / (np.sqrt(v) + 1e-7)


def adagrad(w, g, t, s, lr, start=0.1):
    s["a"] = s.get("a", start) + g**2
    return w - lr * g / np.sqrt(s["a"] + 1e-7)


def adadelta(w, g, t, s, lr, rho=0.95, eps=1e-7):
    s["a"] = rho * s.get("a", 0) + (1 - rho) * g**2
    step = np.sqrt(s.get("d", 0) + eps) / np.sqrt(s["a"] + eps) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * step**2
    return w - lr * step


def ftrl(w, g, t, s, lr, power=0.5, l1=0.0, l2=0.0, shrinkage=0.0, beta=0.0):
    before = s.get("n", 0.1)
    n = s["n"] = before + g**2
    sigma = (n**power - before**power) / lr
    z = s["z"] = s.get("z", 0) + g + 2 * shrinkage * w - sigma * w
    new = -(z - np.sign(z) * l1) / ((n**power + beta) / lr + 2 * l2)
    return np.where(np.abs(z) <= l1, 0.0, new)


def lion(w, g, t, s, lr, b1=0.9, b2=0.99):
    m = s.get("m", np.zeros_like(g))
    s["m"] = b2 * m + (1 - b2) * g
    return w - lr * np.sign(b1 * m + (1 - b1) * g)


def lamb(w, g, t, s, lr, b1=0.9):
    m, v = moments(g, t, s, b1)
    u = m / (np.sqrt(v) + 1e-7)
    a, b = np.linalg.norm(w), np.linalg.norm(u)
    return w - lr * (a / b if a > 0 and b > 0 else 1.0) * u


def muon(w, g, t, s, lr, mu=0.95, nesterov=True, steps=5, rms=0.2):
    if w.ndim != 2:
        return adam(w, g, t, s, lr)
    m = s["m"] = mu * s.get("m", 0) + g
    # The polynomial of the iteration acts on singular values alone.
    u, values, v = np.linalg.svd(g + mu * m if nesterov else m, full_matrices=False)
    values = values / (np.linalg.norm(values) + 1e-7)
    for _ in range(steps):
        values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
    scale = 1.0 if rms is None else rms * np.sqrt(max(w.shape))
    return w - lr * scale * (u * values) @ v


def _rms(x):
    return np.sqrt(np.mean(x**2))


def adafactor(w, g, t, s, lr, decay=-0.8, smallest=1e-3, limit=1.0):
    b = 1 - float(t) ** decay
    squares = g**2 + 1e-30
    if w.ndim < 2:
        v = s["v"] = b * s.get("v", 0) + (1 - b) * squares
    else:
        r = s["r"] = b * s.get("r", 0) + (1 - b) * squares.mean(-1)
        c = s["c"] = b * s.get("c", 0) + (1 - b) * squares.mean(-2)
        v = np.outer(r, c) / r.mean()
    u = g / np.sqrt(v)
    u = u / max(1, _rms(u) / limit)
    return w - max(smallest, _rms(w)) * min(lr, t**-0.5) * u


def schedule_free(w, g, t, s, lr, b1=0.9, b2=0.999, warm=0):
    lr = lr * min(1, t / warm) if warm else lr
    v = s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
    z, x = s.get("z", w), s.get("x", w)
    z = s["z"] = z - lr * g / (np.sqrt(v / (1 - b2**t)) + 1e-8)
    x = s["x"] = x + (z - x) / t
    return (1 - b1) * z + b1 * x


def decayed(rule, decay):
    return lambda w, g, t, s, lr: rule(w - w * decay * lr, g, t, s, lr)


_FTRL = {
    "learning_rate_power": -0.7,
    "l1_regularization_strength": 0.5,
    "l2_regularization_strength": 0.2,
    "l2_shrinkage_regularization_strength": 0.1,
    "beta": 0.3,
}
# (class, arguments, rule, learning rate)
RULES = [
    (optimizers.SGD, {}, sgd, 0.01),
    (optimizers.SGD, {"learning_rate": 0.5}, sgd, 0.5),
    (optimizers.SGD, {"momentum": 0.9}, momentum, 0.01),
    (
        optimizers.SGD,
        {"momentum": 0.9, "nesterov": True},
        partial(momentum, nesterov=True),
        0.01,
    ),
    (optimizers.SGD, {"weight_decay": 0.1}, decayed(sgd, 0.1), 0.01),
    (
        optimizers.SGD,
        {"momentum": 0.9, "weight_decay": 0.1},
        decayed(momentum, 0.1),
        0.01,
    ),
    (optimizers.RMSprop, {}, rmsprop, 0.001),
    (
        optimizers.RMSprop,
        {"rho": 0.8, "momentum": 0.5},
        partial(rmsprop, rho=0.8, mu=0.5),
        0.001,
    ),
    (optimizers.RMSprop, {"centered": True}, partial(rmsprop, centered=True), 0.001),
    (
        optimizers.RMSprop,
        {"centered": True, "momentum": 0.5, "weight_decay": 0.2},
        decayed(partial(rmsprop, centered=True, mu=0.5), 0.2),
        0.001,
    ),
    (optimizers.Adam, {}, adam, 0.001),
    (optimizers.Adam, {"epsilon": None}, adam, 0.001),
    (optimizers.Adam, {"amsgrad": True}, partial(adam, amsgrad=True), 0.001),
    (
        optimizers.Adam,
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1},
        partial(adam, b1=0.5, b2=0.9, eps=0.1),
        0.001,
    ),
    (optimizers.AdamW, {}, decayed(adam, 0.004), 0.001),
    (
        optimizers.AdamW,
        {"learning_rate": 0.1, "weight_decay": 0.5, "amsgrad": True},
        decayed(partial(adam, amsgrad=True), 0.5),
        0.1,
    ),
    (optimizers.Adamax, {}, adamax, 0.001),
    (
        optimizers.Adamax,
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.1},
        decayed(partial(adamax, b1=0.5, b2=0.8), 0.1),
        0.1,
    ),
    (optimizers.Nadam, {}, nadam, 0.001),
    (
        optimizers.Nadam,
        {"learning_rate": 0.1, "beta_1": 0.6},
        partial(nadam, b1=0.6),
        0.1,
    ),
    (optimizers.Adagrad, {}, adagrad, 0.001),
    (
        optimizers.Adagrad,
        {"learning_rate": 0.5, "initial_accumulator_value": 2.0},
        partial(adagrad, start=2.0),
        0.5,
    ),
    (optimizers.Adadelta, {}, adadelta, 0.001),
    (
        optimizers.Adadelta,
        {"learning_rate": 1.0, "rho": 0.8, "epsilon": 1e-3},
        partial(adadelta, rho=0.8, eps=1e-3),
        1.0,
    ),
    (optimizers.Ftrl, {}, ftrl, 0.001),
    (
        optimizers.Ftrl,
        {"learning_rate": 0.1, "l1_regularization_strength": 1.0},
        partial(ftrl, l1=1.0),
        0.1,
    ),
    (
        optimizers.Ftrl,
        {"learning_rate": 0.1, **_FTRL},
        partial(ftrl, power=0.7, l1=0.5, l2=0.2, shrinkage=0.1, beta=0.3),
        0.1,
    ),
    (optimizers.Lion, {}, lion, 0.001),
    (
        optimizers.Lion,
        {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.7, "weight_decay": 0.1},
        decayed(partial(lion, b1=0.5, b2=0.7), 0.1),
        0.1,
    ),
    (optimizers.Lamb, {}, lamb, 0.001),
    (
        optimizers.Lamb,
        {"learning_rate": 0.1, "beta_1": 0.5, "weight_decay": 0.1},
        decayed(partial(lamb, b1=0.5), 0.1),
        0.1,
    ),
    (optimizers.Muon, {}, decayed(muon, 0.004), 0.001),
    (
        optimizers.Muon,
        {
            "learning_rate": 0.1,
            "weight_decay": None,
            "adam_weight_decay": None,
            "momentum": 0.8,
            "nesterov": False,
            "ns_steps": 3,
            "rms_rate": None,
        },
        partial(muon, mu=0.8, nesterov=False, steps=3, rms=None),
        0.1,
    ),
    (optimizers.Adafactor, {}, adafactor, 0.001),
    (
        optimizers.Adafactor,
        {"learning_rate": 0.5, "beta_2_decay": -0.6, "clip_threshold": 0.3},
        partial(adafactor, decay=-0.6, limit=0.3),
        0.5,
    ),
    (optimizers.ScheduleFreeAdamW, {}, schedule_free, 0.0025),
    (
        optimizers.ScheduleFreeAdamW,
        {"learning_rate": 0.1, "beta_1": 0.7, "beta_2": 0.8, "warmup_steps": 5},
        partial(schedule_free, b1=0.7, b2=0.8, warm=5),
        0.1,
    ),
]
