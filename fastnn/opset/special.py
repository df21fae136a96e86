# SPDX-License-Identifier: Apache-2.0
"""Bessel and incomplete gamma functions by SciPy, and the bits of numbers.

Host ops: they have no kernel; `ref` is what runs. A derivative with respect to an order
or a parameter is the same function with an attribute counted up, so that gradients of
any order exist.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.errors import BackendError, ShapeError
from fastnn.opset._dtypes import ITEMSIZE, NAMES, know
from fastnn.opset._infer import elementwise, like
from fastnn.opset._matrices import host_op
from fastnn.opset._opdef import EXACT, Attr, Sample, Spec, Tol
from fastnn.opset._samples import PAIRS, unary, uniform

# ---- modified Bessel functions -----------------------------------------------------


def _bessel_i(x: Any, n: int) -> Any:
    try:
        from scipy import special
    except ImportError:
        # The mean over the circle; 256 points are exact wherever e^x is finite.
        angle = (np.arange(256) + 0.5) * (2 * np.pi / 256)
        wide = np.exp(np.asarray(x, "float64")[..., None] * np.cos(angle))
        return np.asarray((wide * np.cos(n * angle)).mean(-1), x.dtype)
    y = (special.i0, special.i1)[n](x) if n < 2 else special.iv(n, x)
    return np.asarray(y, x.dtype)


def _bessel_vjp(c: Any, dy: Any) -> Any:
    below = c.op.bessel_i(c.x, abs(c.n - 1))
    slope = c.op.add(below, c.op.bessel_i(c.x, c.n + 1))
    return c.op.multiply(dy, c.op.multiply(slope, 0.5))


host_op(
    "bessel_i",
    _bessel_i,
    like(0),
    unary(-4, 4, attrs=((0,), (1,), (2,))),
    inputs="x",
    attrs=(Attr("n", "int"),),
    vjp=_bessel_vjp,
    saves=("x",),
    tol=Tol(2e-6, 4e-15, 1e-6),
    doc="modified Bessel function of the first kind I_n (Abramowitz and Stegun 9.6)",
)

# ---- incomplete gamma function -----------------------------------------------------


def _special(name: str) -> Any:
    try:
        from scipy import special
    except ImportError:
        raise BackendError(
            f'[{name}] needs SciPy: pip install "fastnn-dl[scipy]"'
        ) from None
    return special


def _density(a: Any, x: Any, k: int) -> Any:
    """The k-th derivative by a of x^(a-1) e^-x / gamma(a).

    With L its logarithm it is the density times the Bell polynomial of the derivatives
    of L, of which log(x) - digamma(a) is the first and -polygamma(j - 1, a) the j-th.
    """
    special = _special("gammainc")
    a, x = np.broadcast_arrays(np.asarray(a, "float64"), np.asarray(x, "float64"))
    with np.errstate(all="ignore"):
        log = np.log(x)
        density = np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a))
        slopes = [-special.polygamma(j, a) for j in range(k)]
        if k:
            slopes[0] = slopes[0] + log
        bell = [np.ones_like(x)]
        for m in range(k):
            terms = (math.comb(m, i) * bell[m - i] * slopes[i] for i in range(m + 1))
            bell.append(sum(terms, np.zeros_like(x)))
        y = density * bell[k]
    return np.where((density == 0) & (a > 0) & (x >= 0), 0.0, y)


def _gammainc(a: Any, x: Any, k: int) -> Any:
    if k == 0:
        return np.asarray(_special("gammainc").gammainc(a, x), a.dtype)
    # P(a, x) is the sum of density(a + n, x) over n > 0; what counts lies around x - a.
    wide = np.broadcast_arrays(np.asarray(a, "float64"), np.asarray(x, "float64"))
    at = np.where(np.isfinite(wide[1]), wide[1], 0.0)
    reach = 12 * np.sqrt(at) + 40
    first = np.maximum(np.floor(at - wide[0] - reach), 0.0)
    y = np.zeros_like(at)
    for n in range(int(2 * reach.max(initial=0)) + 1):
        y += _density(wide[0] + first + (n + 1), at, k)
    y = np.where(np.isposinf(wide[1]), 0.0, y)
    bad = np.isnan(wide[0]) | np.isnan(wide[1]) | (wide[0] <= 0) | (wide[1] < 0)
    return np.asarray(np.where(bad, np.nan, y), a.dtype)


def _gammainc_vjp(c: Any, dy: Any) -> Any:
    by_a = c.op.multiply(dy, c.op.gammainc(c.a, c.x, c.k + 1))
    by_x = c.op.multiply(dy, c.op.gamma_density(c.a, c.x, c.k))
    return c.unbroadcast(by_a, "a"), c.unbroadcast(by_x, "x")


def _density_vjp(c: Any, dy: Any) -> Any:
    by_a = c.op.gamma_density(c.a, c.x, c.k + 1)
    one = c.op.divide(c.op.subtract(c.a, 1.0), c.x)
    by_x = c.op.multiply(c.y, c.op.subtract(one, 1.0))
    if c.k:
        rest = c.op.divide(c.op.gamma_density(c.a, c.x, c.k - 1), c.x)
        by_x = c.op.add(by_x, c.op.multiply(rest, float(c.k)))
    return (
        c.unbroadcast(c.op.multiply(dy, by_a), "a"),
        c.unbroadcast(c.op.multiply(dy, by_x), "x"),
    )


def _gamma_samples(rng: Any, dtype: str) -> Any:
    for k in range(3):
        for first, second in PAIRS:
            a = uniform(rng, first, dtype, 0.6, 5)
            yield Sample((a, uniform(rng, second, dtype, 0.2, 6)), (k,))


GAMMA: dict[str, Any] = {
    "inputs": "a x",
    "attrs": (Attr("k", "int", 0),),
    "tol": Tol(2e-5, 1e-13, 1e-5),
}
host_op(
    "gammainc",
    _gammainc,
    elementwise("gammainc"),
    _gamma_samples,
    vjp=_gammainc_vjp,
    saves=("a", "x"),
    doc="integral of t^(a-1) e^-t / gamma(a) from 0 to x, differentiated k times by a",
    **GAMMA,
)
host_op(
    "gamma_density",
    lambda a, x, k: _density(a, x, k).astype(a.dtype),
    elementwise("gamma_density"),
    _gamma_samples,
    vjp=_density_vjp,
    saves=("a", "x", "y"),
    doc="x^(a-1) e^-x / gamma(a), differentiated k times by a",
    **GAMMA,
)

# ---- bits --------------------------------------------------------------------------


def _bitcast_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    (x,), dtype = specs, attrs[0]
    old, new = ITEMSIZE[x.dtype], ITEMSIZE[dtype]
    if old == new:
        return [Spec(x.shape, dtype)]
    if not x.shape or x.shape[-1] * old % new:
        raise ShapeError(
            f"[view] the bytes along the last axis of {x.dtype} {x.shape} are no whole "
            f"number of {dtype}"
        )
    return [Spec((*x.shape[:-1], x.shape[-1] * old // new), dtype)]


def _bitcast_samples(rng: Any, dtype: str) -> Any:
    for shape in ((), (3,), (2, 4)):
        yield Sample((uniform(rng, shape, dtype, -3, 3),), (f"int{dtype[5:]}",))
    for new in ("uint8", "float32", "float64", "bool"):
        yield Sample((uniform(rng, (3, 2), dtype, 0, 0),), (new,))


host_op(
    "bitcast",
    lambda x, dtype: np.ascontiguousarray(x).reshape(x.shape).view(know(dtype)),
    _bitcast_infer,
    _bitcast_samples,
    inputs="x",
    attrs=(Attr("dtype", "enum", choices=NAMES),),
    differentiable=False,
    tol=EXACT,
    doc="the same bytes read as another dtype; the last axis grows or shrinks",
)
