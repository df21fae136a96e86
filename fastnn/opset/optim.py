# SPDX-License-Identifier: Apache-2.0
"""One optimizer step per op: outputs overwrite their inputs inside a plan.

Formulas are Keras 3's; the per-element maths is csrc/shared/optim.h. `lr` is a
rank-0 tensor of the parameter's dtype, `step` a rank-0 int64 counting from 1.
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


def _infer(name: str, slots: int) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        w = specs[0]
        check_float(name, check_same_dtype(name, [s.dtype for s in specs[: 2 + slots]]))
        for spec in specs[1 : 2 + slots]:
            if spec.shape != w.shape:
                raise ShapeError(
                    f"[{name}] gradient and slots must have the variable's shape "
                    f"{w.shape}, received {spec.shape}"
                )
        return [w] * (1 + slots)

    return infer


def _samples(slots: int, attrs: tuple[tuple, ...], *, step: bool = False) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for values in attrs:
            for shape in SHAPES:
                w, g = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
                state = [uniform(rng, shape, dtype, 0.1, 2) for _ in range(slots)]
                tail = [np.asarray(0.01, dtype)]
                if step:
                    tail.append(np.asarray(3, "int64"))
                yield Sample((w, g, *state, *tail), values)

    return make


def _momentum(
    w: Any, g: Any, m: Any, lr: Any, momentum: float, nesterov: bool
) -> tuple:
    m = m * w.dtype.type(momentum) - lr * g
    return w + (m * w.dtype.type(momentum) - lr * g if nesterov else m), m


def _rmsprop(w: Any, g: Any, v: Any, lr: Any, rho: float, epsilon: float) -> tuple:
    t = w.dtype.type
    v = v * t(rho) + g * g * t(1 - rho)
    return w - lr * g / np.sqrt(v + t(epsilon)), v


def _adam(
    w: Any, g: Any, m: Any, v: Any, lr: Any, step: Any, b1: float, b2: float, eps: float
) -> tuple:
    t = w.dtype.type
    n = float(step)
    alpha = t(lr * np.sqrt(1 - b2**n) / (1 - b1**n))
    m = m + (g - m) * t(1 - b1)
    v = v + (g * g - v) * t(1 - b2)
    return w - alpha * m / (np.sqrt(v) + t(eps)), m, v


op(
    "sgd",
    inputs="w g lr",
    outputs="w1",
    infer=_infer("sgd", 0),
    kind=UPDATE,
    ref=lambda w, g, lr: w - lr * g,
    samples=_samples(0, ((),)),
    tol=TOL,
    inplace=(0,),
    cost=0.3,
    doc="w - lr g",
)
op(
    "sgd_momentum",
    inputs="w g m lr",
    outputs="w1 m1",
    attrs=(Attr("momentum", "float"), Attr("nesterov", "bool", False)),
    infer=_infer("sgd_momentum", 1),
    kind=UPDATE,
    ref=_momentum,
    samples=_samples(1, ((0.9, False), (0.9, True))),
    tol=TOL,
    inplace=(0, 2),
    cost=0.4,
    doc="m = momentum m - lr g; w + m, or w + momentum m - lr g with Nesterov",
)
op(
    "rmsprop",
    inputs="w g v lr",
    outputs="w1 v1",
    attrs=(Attr("rho", "float", 0.9), Attr("epsilon", "float", 1e-7)),
    infer=_infer("rmsprop", 1),
    kind=UPDATE,
    ref=_rmsprop,
    samples=_samples(1, ((0.9, 1e-7),)),
    tol=TOL,
    inplace=(0, 2),
    cost=0.7,
    doc="v = rho v + (1 - rho) g^2; w - lr g / sqrt(v + epsilon)",
)
op(
    "adam",
    inputs="w g m v lr step",
    outputs="w1 m1 v1",
    attrs=(
        Attr("beta_1", "float", 0.9),
        Attr("beta_2", "float", 0.999),
        Attr("epsilon", "float", 1e-7),
    ),
    infer=_infer("adam", 2),
    kind=UPDATE,
    ref=_adam,
    samples=_samples(2, ((0.9, 0.999, 1e-7),), step=True),
    tol=TOL,
    inplace=(0, 2, 3),
    cost=1.0,
    doc="Kingma & Ba 2015, arXiv:1412.6980; epsilon outside the root as in Keras",
)
