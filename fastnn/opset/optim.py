# SPDX-License-Identifier: Apache-2.0
"""One optimizer step per op: outputs overwrite their inputs inside a plan.

Formulas are Keras 3's; the per-element maths is csrc/shared/optim.h. `lr` is a
rank-0 tensor of the parameter's dtype, `step` a rank-0 int64 counting from 1. With
`weight_decay` the weights shrink first: `w (1 - lr weight_decay)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import UPDATE, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform

SHAPES = ((), (0, 3), (7,), (3, 19))
TOL = Tol(2e-6, 4e-15, 1e-6)
BETAS = (Attr("beta_1", "float", 0.9), Attr("beta_2", "float", 0.999))
RHO = Attr("rho", "float", 0.9)
EPSILON = Attr("epsilon", "float", 1e-7)
MOMENTUM = Attr("momentum", "float", 0.0)
DECAY = Attr("weight_decay", "float", 0.0)
RANGES = {"v": (2, 4), "a": (0.1, 1)}  # of samples: v - a^2 stays positive


def _infer(name: str, arrays: int) -> Any:
    """The first `arrays` inputs alike; outputs are those but the gradient."""

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        w = specs[0]
        check_float(name, check_same_dtype(name, [s.dtype for s in specs[:arrays]]))
        for spec in specs[1:arrays]:
            if spec.shape != w.shape:
                raise ShapeError(
                    f"[{name}] gradient and slots must have the variable's shape "
                    f"{w.shape}, received {spec.shape}"
                )
        return [w] * (arrays - 1)

    return infer


def _samples(
    slots: tuple[str, ...], scalars: tuple[str, ...], attrs: tuple[tuple, ...]
) -> Any:
    known = {
        "step": lambda dtype: np.asarray(3, "int64"),
        "lr": lambda dtype: np.asarray(0.01, dtype),
        "product": lambda dtype: np.asarray(0.1, "float64"),
    }

    def make(rng: Any, dtype: str) -> Any:
        for values in attrs:
            for shape in SHAPES:
                ws = [uniform(rng, shape, dtype, -2, 2) for _ in range(2)]
                state = [
                    uniform(rng, shape, dtype, *RANGES.get(name, (0.1, 2)))
                    for name in slots
                ]
                tail = [known[name](dtype) for name in scalars]
                yield Sample((*ws, *state, *tail), values)

    return make


def update_op(
    name: str,
    slots: str,
    scalars: str,
    attrs: tuple[Attr, ...],
    rule: Any,
    values: tuple[tuple, ...],
    *,
    tol: Tol = TOL,
    cost: float,
    doc: str,
) -> None:
    """An update of `w` and its slots; `rule(w, g, *slots, *scalars, *attrs)` gives
    their new values for weights that have decayed already.
    """
    names, tail = tuple(slots.split()), tuple(scalars.split())
    arrays = 2 + len(names)

    def ref(*args: Any) -> Any:
        *given, decay = args
        w, lr = given[0], given[arrays]
        shrunk = w.dtype.type(lr * decay)
        w = w - w * shrunk if shrunk else w
        return rule(w, *given[1:])

    op(
        name,
        inputs=f"w g {slots} {scalars}",
        outputs=" ".join(f"{n}1" for n in ("w", *names)),
        attrs=(*attrs, DECAY),
        infer=_infer(name, arrays),
        kind=UPDATE,
        ref=ref,
        samples=_samples(
            names,
            tail,
            (*((*v, 0.0) for v in values), (*values[0], 0.1)),
        ),
        tol=tol,
        inplace=(0, *range(2, arrays)),
        cost=cost,
        doc=doc,
    )


def _momentum(
    w: Any, g: Any, m: Any, lr: Any, momentum: float, nesterov: bool
) -> tuple:
    m = m * w.dtype.type(momentum) - lr * g
    return w + (m * w.dtype.type(momentum) - lr * g if nesterov else m), m


def _average(a: Any, x: Any, rate: float) -> Any:
    return a * a.dtype.type(rate) + x * a.dtype.type(1 - rate)


def _rmsprop(w: Any, g: Any, v: Any, lr: Any, rho: float, epsilon: float) -> tuple:
    v = _average(v, g * g, rho)
    return w - lr * g / np.sqrt(v + w.dtype.type(epsilon)), v


def _rmsprop_momentum(
    w: Any, g: Any, v: Any, m: Any, lr: Any, rho: float, epsilon: float, momentum: float
) -> tuple:
    step, v = _rmsprop(w - w, g, v, lr, rho, epsilon)
    m = m * w.dtype.type(momentum) - step
    return w - m, v, m


def _rmsprop_centered(
    w: Any, g: Any, v: Any, a: Any, lr: Any, rho: float, epsilon: float
) -> tuple:
    v, a = _average(v, g * g, rho), _average(a, g, rho)
    return w - lr * g / np.sqrt(v - a * a + w.dtype.type(epsilon)), v, a


def _rmsprop_both(
    w: Any,
    g: Any,
    v: Any,
    a: Any,
    m: Any,
    lr: Any,
    rho: float,
    epsilon: float,
    momentum: float,
) -> tuple:
    step, v, a = _rmsprop_centered(w - w, g, v, a, lr, rho, epsilon)
    m = m * w.dtype.type(momentum) - step
    return w - m, v, a, m


def _moments(g: Any, m: Any, v: Any, b1: float, b2: float) -> tuple:
    t = g.dtype.type
    return m + (g - m) * t(1 - b1), v + (g * g - v) * t(1 - b2)


def _adam_step(
    w: Any, m: Any, v: Any, lr: Any, step: Any, b1: float, b2: float, eps: float
) -> Any:
    t = w.dtype.type
    n = float(step)
    alpha = t(lr * np.sqrt(1 - b2**n) / (1 - b1**n))
    return w - alpha * m / (np.sqrt(v) + t(eps))


def _adam(
    w: Any, g: Any, m: Any, v: Any, lr: Any, step: Any, b1: float, b2: float, eps: float
) -> tuple:
    m, v = _moments(g, m, v, b1, b2)
    return _adam_step(w, m, v, lr, step, b1, b2, eps), m, v


def _amsgrad(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    top: Any,
    lr: Any,
    step: Any,
    b1: float,
    b2: float,
    eps: float,
) -> tuple:
    m, v = _moments(g, m, v, b1, b2)
    top = np.maximum(top, v)
    return _adam_step(w, m, top, lr, step, b1, b2, eps), m, v, top


def _adamax(
    w: Any, g: Any, m: Any, u: Any, lr: Any, step: Any, b1: float, b2: float, eps: float
) -> tuple:
    t = w.dtype.type
    m = m + (g - m) * t(1 - b1)
    u = np.maximum(u * t(b2), np.abs(g))
    return w - t(lr / (1 - b1 ** float(step))) * m / (u + t(eps)), m, u


def _nadam(
    w: Any,
    g: Any,
    m: Any,
    v: Any,
    lr: Any,
    step: Any,
    product: Any,
    b1: float,
    b2: float,
    eps: float,
) -> tuple:
    n, t = float(step), w.dtype.type
    now, then = (b1 * (1 - 0.5 * 0.96**k) for k in (n, n + 1))
    m, v = _moments(g, m, v, b1, b2)
    m_hat = m * t(then / (1 - product * then)) + g * t((1 - now) / (1 - product))
    return w - lr * m_hat / (np.sqrt(v * t(1 / (1 - b2**n))) + t(eps)), m, v


def _adagrad(w: Any, g: Any, a: Any, lr: Any, epsilon: float) -> tuple:
    a = a + g * g
    return w - lr * g / np.sqrt(a + w.dtype.type(epsilon)), a


def _adadelta(
    w: Any, g: Any, a: Any, d: Any, lr: Any, rho: float, epsilon: float
) -> tuple:
    eps = w.dtype.type(epsilon)
    a = _average(a, g * g, rho)
    step = np.sqrt(d + eps) * g / np.sqrt(a + eps)
    return w - lr * step, a, _average(d, step * step, rho)


def _ftrl(
    w: Any,
    g: Any,
    a: Any,
    z: Any,
    lr: Any,
    power: float,
    l1: float,
    l2: float,
    shrinkage: float,
    beta: float,
) -> tuple:
    t = w.dtype.type
    grown = a + g * g
    before, after = (x ** t(-power) for x in (a, grown))
    z = z + g + t(2 * shrinkage) * w - (after - before) / lr * w
    divisor = after / lr + t(2 * (l2 + beta / (2 * float(lr))))
    return (np.clip(z, -t(l1), t(l1)) - z) / divisor, grown, z


def _lion(w: Any, g: Any, m: Any, lr: Any, b1: float, b2: float) -> tuple:
    return w - lr * np.sign(_average(m, g, b1)), _average(m, g, b2)


update_op(
    "sgd",
    "",
    "lr",
    (),
    lambda w, g, lr: w - lr * g,
    ((),),
    cost=0.3,
    doc="w - lr g",
)
update_op(
    "sgd_momentum",
    "m",
    "lr",
    (MOMENTUM, Attr("nesterov", "bool", False)),
    _momentum,
    ((0.9, False), (0.9, True)),
    cost=0.4,
    doc="m = momentum m - lr g; w + m, or w + momentum m - lr g with Nesterov",
)
update_op(
    "rmsprop",
    "v",
    "lr",
    (RHO, EPSILON),
    _rmsprop,
    ((0.9, 1e-7),),
    cost=0.7,
    doc="v = rho v + (1 - rho) g^2; w - lr g / sqrt(v + epsilon)",
)
update_op(
    "rmsprop_momentum",
    "v m",
    "lr",
    (RHO, EPSILON, MOMENTUM),
    _rmsprop_momentum,
    ((0.9, 1e-7, 0.8),),
    cost=0.7,
    doc="rmsprop whose steps add up: m = momentum m + step; w - m",
)
update_op(
    "rmsprop_centered",
    "v a",
    "lr",
    (RHO, EPSILON),
    _rmsprop_centered,
    ((0.9, 1e-7),),
    cost=0.7,
    doc="rmsprop with the variance v - a^2, a the average gradient",
)
update_op(
    "rmsprop_centered_momentum",
    "v a m",
    "lr",
    (RHO, EPSILON, MOMENTUM),
    _rmsprop_both,
    ((0.9, 1e-7, 0.8),),
    cost=0.8,
    doc="rmsprop_centered whose steps add up",
)
update_op(
    "adam",
    "m v",
    "lr step",
    (*BETAS, EPSILON),
    _adam,
    ((0.9, 0.999, 1e-7),),
    cost=1.0,
    doc="Kingma & Ba 2015, arXiv:1412.6980; epsilon outside the root as in Keras",
)
update_op(
    "adam_amsgrad",
    "m v top",
    "lr step",
    (*BETAS, EPSILON),
    _amsgrad,
    ((0.9, 0.999, 1e-7),),
    cost=1.0,
    doc="adam over the largest v so far; Reddi et al. 2018, arXiv:1904.09237",
)
update_op(
    "adamax",
    "m u",
    "lr step",
    (*BETAS, EPSILON),
    _adamax,
    ((0.9, 0.999, 1e-7),),
    cost=0.8,
    doc="u = max(beta_2 u, |g|); Kingma & Ba 2015, section 7",
)
update_op(
    "nadam",
    "m v",
    "lr step product",
    (*BETAS, EPSILON),
    _nadam,
    ((0.9, 0.999, 1e-7),),
    cost=1.0,
    doc="Adam with Nesterov momentum, Dozat 2016; product of the momenta so far",
)
update_op(
    "adagrad",
    "a",
    "lr",
    (EPSILON,),
    _adagrad,
    ((1e-7,),),
    cost=0.7,
    doc="a + g^2; w - lr g / sqrt(a + epsilon); Duchi et al. 2011",
)
update_op(
    "adadelta",
    "a d",
    "lr",
    (RHO, EPSILON),
    _adadelta,
    ((0.95, 1e-7),),
    cost=1.0,
    doc="steps sqrt(d + eps) / sqrt(a + eps) g of averages d, a; Zeiler 2012",
)
update_op(
    "ftrl",
    "a z",
    "lr",
    (
        Attr("learning_rate_power", "float", -0.5),
        Attr("l1", "float", 0.0),
        Attr("l2", "float", 0.0),
        Attr("l2_shrinkage", "float", 0.0),
        Attr("beta", "float", 0.0),
    ),
    _ftrl,
    (
        (-0.5, 0.1, 0.2, 0.3, 0.4),
        (-0.5, 0.0, 0.0, 0.0, 0.0),
        (-0.7, 0.1, 0.0, 0.0, 0.1),
    ),
    tol=Tol(4e-5, 1e-13, 4e-5),  # (a^p - b^p) / lr cancels
    cost=1.2,
    doc="FTRL-Proximal; McMahan et al. 2013",
)
update_op(
    "lion",
    "m",
    "lr",
    (Attr("beta_1", "float", 0.9), Attr("beta_2", "float", 0.99)),
    _lion,
    ((0.9, 0.99),),
    cost=0.4,
    doc="w - lr sign(beta_1 m + (1 - beta_1) g); Chen et al. 2023, arXiv:2302.06675",
)


def _moving_average_samples(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        for rate in (0.99, 0.0, 1.0):
            yield Sample(
                tuple(uniform(rng, shape, dtype, -2, 2) for _ in "ax"), (rate,)
            )


op(
    "moving_average",
    inputs="a x",
    outputs="a1",
    attrs=(Attr("rate", "float", 0.99),),
    infer=_infer("moving_average", 2),
    kind=UPDATE,
    ref=_average,
    samples=_moving_average_samples,
    tol=TOL,
    inplace=(0,),
    cost=0.3,
    doc="rate a + (1 - rate) x",
)
