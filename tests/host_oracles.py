# SPDX-License-Identifier: Apache-2.0
"""What host ops must satisfy, written without the routines that they run.

`ORACLES[name](inputs, attrs, outputs)` gives pairs (found, expected); the inputs are in
float64. For factorizations, which are not unique, the pairs are their definitions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

Pairs = list[tuple[Any, Any]]


def _t(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def _eye(x: Any) -> Any:
    return np.broadcast_to(np.eye(x.shape[-1]), (*x.shape[:-2], *x.shape[-1:] * 2))


def _orthonormal(*found: Any) -> Pairs:
    """Columns of norm 1 that are orthogonal to each other."""
    return [(_t(q) @ q, _eye(q)) for q in found]


def _minors(x: Any) -> Any:
    """Cofactors by their definition."""
    n = x.shape[-1]
    y = np.ones(x.shape)
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(x, i, -2), j, -1)
            y[..., i, j] = (-1) ** (i + j) * (np.linalg.det(rest) if n > 1 else 1)
    return y


def _cofactor(given: Any, attrs: Any, found: Any) -> Pairs:
    y = _minors(given[0])
    scale = np.abs(y).max((-1, -2), initial=1, keepdims=True)
    return [(found[0] / scale, y / scale)]


def _determinant(x: Any) -> Any:
    """Along the first row."""
    if x.shape[-1] == 0:
        return np.ones(x.shape[:-2])
    return np.sum(x[..., 0, :] * _minors(x)[..., 0, :], -1)


def _slogdet(given: Any, attrs: Any, found: Any) -> Pairs:
    det = _determinant(given[0])
    return [(found[0], np.sign(det)), (found[1], np.log(np.abs(det)))]


def _triangular(given: Any, attrs: Any, found: Any) -> Pairs:
    a, b = given
    return [((np.tril(a) if attrs[0] else np.triu(a)) @ found[0], b)]


def _normal_inverse(x: Any) -> Any:
    """The pseudo-inverse of a matrix of full rank."""
    wide = x.shape[-2] < x.shape[-1]
    return (
        _t(x) @ np.linalg.inv(x @ _t(x)) if wide else np.linalg.inv(_t(x) @ x) @ _t(x)
    )


def _eigh(given: Any, attrs: Any, found: Any) -> Pairs:
    (x,), (w, v) = given, found
    x = (x + _t(x)) / 2
    return [(x @ v, v * w[..., None, :]), *_orthonormal(v), (np.sort(w, -1), w)]


def _eig(given: Any, attrs: Any, found: Any) -> Pairs:
    (x,), (w, v) = given, found
    trace = np.trace(x, axis1=-2, axis2=-1)
    norms = np.linalg.norm(v, axis=-2)
    return [(x @ v, v * w[..., None, :]), (norms, np.ones_like(w)), (w.sum(-1), trace)]


def _svd(given: Any, attrs: Any, found: Any) -> Pairs:
    (x,), (u, s, vh) = given, found
    k = s.shape[-1]
    again = (u[..., :k] * s[..., None, :]) @ vh[..., :k, :]
    order = -np.sort(-np.abs(s), -1)
    return [(again, x), (s, order), *_orthonormal(u, _t(vh))]


def _singular(given: Any, attrs: Any, found: Any) -> Pairs:
    x = given[0]
    gram = x @ _t(x) if x.shape[-2] < x.shape[-1] else _t(x) @ x
    return [(found[0] ** 2, np.linalg.eigvalsh(gram)[..., ::-1])]


def _qr(given: Any, attrs: Any, found: Any) -> Pairs:
    q, r = found
    return [(q @ r, given[0]), (np.triu(r), r), *_orthonormal(q)]


def _cholesky(given: Any, attrs: Any, found: Any) -> Pairs:
    (x,), (y,) = given, found
    return [(y @ _t(y), (x + _t(x)) / 2), (np.tril(y), y)]


def _lu(given: Any, attrs: Any, found: Any) -> Pairs:
    (x,), (lu, pivots) = given, found
    m, n = x.shape[-2:]
    k = min(m, n)
    lower = np.tril(lu[..., :k], -1) + np.eye(m, k)
    exchanged = np.array(x)
    for batch in np.ndindex(x.shape[:-2]):
        for i, j in enumerate(pivots[batch]):
            exchanged[batch][[i, j]] = exchanged[batch][[j, i]]
    return [(lower @ np.triu(lu[..., :k, :]), exchanged)]


def _turns(n: int, sign: int) -> Any:
    turns = np.outer(np.arange(n), np.arange(n)) % n  # large angles lose digits
    return np.exp(sign * 2j * np.pi * turns / n)


def _fft(given: Any, attrs: Any, found: Any) -> Pairs:
    y = given[0] + 1j * given[1]
    for axis in attrs[0]:
        matrix = _turns(y.shape[axis], 1 if attrs[1] else -1)
        y = np.moveaxis(np.moveaxis(y, axis, -1) @ matrix, -1, axis)
    return [(found[0], y.real), (found[1], y.imag)]


def _rfft(given: Any, attrs: Any, found: Any) -> Pairs:
    n = given[0].shape[-1]
    y = given[0] @ _turns(n, -1)[:, : n // 2 + 1]
    return [(found[0], y.real), (found[1], y.imag)]


def _irfft(given: Any, attrs: Any, found: Any) -> Pairs:
    n = attrs[0]
    x = given[0] + 1j * given[1]
    # Frequencies 0 and n / 2 are their own mirror images, of which only reals count.
    twice = np.full(x.shape[-1], 2.0)
    twice[0] = 1
    if n % 2 == 0:
        twice[-1] = 1
    return [(found[0], ((x * twice) @ _turns(n, 1)[: x.shape[-1]]).real)]


def _bits(given: Any, attrs: Any, found: Any) -> Pairs:
    whole = np.frombuffer(np.ascontiguousarray(given[0]).tobytes(), attrs[0])
    return [(found[0].ravel(), whole)]


def _density(given: Any, attrs: Any, found: Any) -> Pairs:
    a, x = np.broadcast_arrays(*given)
    log = np.log(x) - special.digamma(a)
    slopes = [1, log, log * log - special.polygamma(1, a)]
    base = np.exp((a - 1) * np.log(x) - x - special.loggamma(a))
    return [(found[0], base * slopes[attrs[0]])]


def _gammainc(given: Any, attrs: Any, found: Any) -> Pairs:
    """Its definition, and its derivatives by `a`, integrated over 0 < t < x.

    t = x u^8 makes integrands smooth at 0 where t^(a - 1) log(t)^k is not.
    """
    a, x = (v[..., None] for v in np.broadcast_arrays(*given))
    nodes, weights = np.polynomial.legendre.leggauss(200)
    u, du = (nodes + 1) / 2, weights / 2
    t, dt = x * u**8, x * 8 * u**7 * du
    ((_, slope),) = _density((a, t), attrs, [None])
    return [(found[0], (slope * dt).sum(-1))]


ORACLES: dict[str, Callable[[Any, Any, Any], Pairs]] = {
    "inv": lambda given, attrs, found: [(given[0] @ found[0], _eye(given[0]))],
    "det": lambda given, attrs, found: [(found[0], _determinant(given[0]))],
    "slogdet": _slogdet,
    "cofactor": _cofactor,
    "solve": lambda given, attrs, found: [(given[0] @ found[0], given[1])],
    "solve_triangular": _triangular,
    "pinv": lambda given, attrs, found: [(found[0], _normal_inverse(given[0]))],
    "lstsq": lambda given, attrs, found: [
        (found[0], _normal_inverse(given[0]) @ given[1])
    ],
    "cholesky": _cholesky,
    "eigh": _eigh,
    "eig": _eig,
    "svd": _svd,
    "svdvals": _singular,
    "qr": _qr,
    "lu_factor": _lu,
    "fft": _fft,
    "rfft": _rfft,
    "irfft": _irfft,
    "bitcast": _bits,
    "bessel_i": lambda given, attrs, found: [
        (found[0], special.ive(attrs[0], given[0]) * np.exp(np.abs(given[0])))
    ],
    "gamma_density": _density,
    "gammainc": _gammainc,
}
