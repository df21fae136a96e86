# SPDX-License-Identifier: Apache-2.0
"""Matrix products and the linear layer with its gradients.

Operands may be any strided view, so a transposed operand is `transpose` + `matmul`
and costs nothing (csrc/kernels/gemm chooses packing or the transposed form by shape).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset import activations  # noqa: F401  (its gradients are used below)
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._opdef import CONTRACT, Attr, Sample, Spec, Tol, get_op, op
from fastnn.opset._samples import uniform

# Activations that the epilogue applies. The derivatives of the first group are
# functions of the output: a training step fuses these, and their gradients with the
# product that feeds them. Those of the second group need the pre-activation, so a step
# that trains keeps it in memory and applies them as an op; inference fuses them too.
BY_OUTPUT = (
    "linear",
    "relu",
    "sigmoid",
    "tanh",
    "elu",
    "selu",
    "leaky_relu",
    "softplus",
    "relu6",
)
BY_INPUT = ("hard_sigmoid", "hard_silu", "silu", "gelu", "gelu_tanh")
EPILOGUES = BY_OUTPUT + BY_INPUT
ALPHA = Attr("alpha", "float", 1.0)  # of elu; the negative slope of leaky_relu
ACTIVATION = (Attr("activation", "enum", "linear", EPILOGUES), ALPHA)
GRADIENT = (Attr("activation", "enum", "linear", BY_OUTPUT), ALPHA)
GEMM_TOL = Tol(4e-6, 2e-14, 4e-5)
NS_PER_FLOP = 0.015  # 65 GFLOP/s on one core, the lower end of what kernels reach


def _matmul_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    a, b = specs
    dtype = check_same_dtype("matmul", [a.dtype, b.dtype])
    if dtype not in ("int32", "int64"):
        check_float("matmul", dtype)
    if len(a.shape) < 2 or len(b.shape) < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"[matmul] shapes {a.shape} and {b.shape} do not match: the last axis of "
            f"the first must equal the last but one of the second"
        )
    from fastnn.opset._infer import broadcast_shapes

    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    return [Spec((*batch, a.shape[-2], b.shape[-1]), a.dtype)]


def swap(c: Any, x: Any) -> Any:
    """The last two axes exchanged, as a view."""
    n = len(x.shape)
    return c.op.transpose(x, (*range(n - 2), n - 1, n - 2))


def _matmul_vjp(c: Any, dy: Any) -> Any:
    da = db = None
    if c.needs("a"):
        da = c.unbroadcast(c.op.matmul(dy, swap(c, c.b)), "a")
    if c.needs("b"):
        db = c.unbroadcast(c.op.matmul(swap(c, c.a), dy), "b")
    return da, db


def _flops(ins: list[Spec], outs: list[Spec], attrs: tuple) -> float:
    return 2.0 * prod(outs[0].shape) * ins[0].shape[-1] * NS_PER_FLOP


def _matmul_samples(rng: Any, dtype: str) -> Any:
    shapes = (
        ((1, 1), (1, 1)),
        ((0, 3), (3, 4)),
        ((3, 0), (0, 4)),
        ((3, 5), (5, 4)),
        ((33, 70), (70, 50)),
        ((1, 19), (19, 10)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (4, 5)),
        ((3, 1, 2, 4), (5, 4, 2)),
    )
    for s1, s2 in shapes:
        yield Sample((uniform(rng, s1, dtype, -1, 1), uniform(rng, s2, dtype, -1, 1)))
    for integer in ("int32", "int64"):
        a = rng.integers(-(2**31), 2**31, (5, 19)).astype(integer)
        b = rng.integers(-(2**31), 2**31, (19, 37)).astype(integer)
        yield Sample((a, b))


op(
    "matmul",
    inputs="a b",
    infer=_matmul_infer,
    kind=CONTRACT,
    ref=np.matmul,
    vjp=_matmul_vjp,
    saves=("a", "b"),
    samples=_matmul_samples,
    broadcast="batch",
    tol=GEMM_TOL,
    cost=_flops,
    doc="y[..., i, j] = sum_k a[..., i, k] b[..., k, j], float32 accumulation in k",
)


def own_attrs(name: str, alpha: float) -> tuple[str, tuple]:
    """The op that an epilogue stands for, and its attributes."""
    if name in ("elu", "leaky_relu"):
        return name, (alpha,)
    if name in ("gelu", "gelu_tanh"):
        return "gelu", (name == "gelu_tanh",)
    return name, ()


def apply_activation(name: str, x: Any, alpha: float = 1.0) -> Any:
    if name == "linear":
        return x
    op_name, attrs = own_attrs(name, alpha)
    return get_op(op_name).ref(x, *attrs)


def apply_gradient(name: str, dy: Any, y: Any, alpha: float = 1.0) -> Any:
    if name == "linear":
        return dy
    op_name, attrs = own_attrs(name, alpha)
    return get_op(f"{op_name}_grad").ref(dy, y, *attrs)


def gradient(c: Any, dy: Any, preactivation: Any = None) -> Any:
    """act'(z) * dy written with ops; c.y = act(z), `preactivation()` = z."""
    if c.activation == "linear":
        return dy
    op_name, attrs = own_attrs(c.activation, c.alpha)
    saved = c.y if c.activation in BY_OUTPUT else preactivation()
    return getattr(c.op, f"{op_name}_grad")(dy, saved, *attrs)


def case_alpha(name: str) -> float:
    """For samples: one that is not the default where it means something."""
    return 0.3 if name in ("elu", "leaky_relu") else 1.0


# Their slope does not change with the output.
FLAT = ("linear", "relu", "leaky_relu", "relu6")


def slope_of_output(c: Any, g: Any, u: Any) -> Any:
    """What g gives to y, in u() * act'(y) with y = act(z); None where it is 0."""
    if not c.needs("y") or c.activation in FLAT:
        return None
    gux = c.op.multiply(g, u())
    if c.activation == "sigmoid":
        return c.op.multiply(gux, c.op.subtract(1.0, c.op.multiply(c.y, 2)))
    if c.activation == "tanh":
        return c.op.multiply(gux, c.op.multiply(c.y, -2))
    if c.activation == "softplus":
        return c.op.multiply(gux, c.op.exp(c.op.negative(c.y)))
    # elu, selu: y + constant below 0, constant above
    return c.op.where(c.op.greater(c.y, 0), 0, gux)


def _linear_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    x, w, b = specs
    check_float("linear", check_same_dtype("linear", [s.dtype for s in specs]))
    if len(x.shape) != 2 or len(w.shape) != 2 or x.shape[1] != w.shape[0]:
        raise ShapeError(
            f"[linear] input {x.shape} and kernel {w.shape} do not match: expected "
            f"(rows, {w.shape[0] if w.shape else '?'})"
        )
    if b.shape != w.shape[1:]:
        raise ShapeError(f"[linear] bias must be {w.shape[1:]}, received {b.shape}")
    return [Spec((x.shape[0], w.shape[1]), x.dtype)]


def _linear_vjp(c: Any, dy: Any) -> Any:
    # Only a second differentiation of a fused graph gets here with an activation that
    # needs z: the passes fuse those where nobody asks for a gradient.
    dz = gradient(c, dy, lambda: c.op.linear(c.x, c.w, c.b, "linear"))
    dx = c.op.matmul(dz, swap(c, c.w)) if c.needs("x") else None
    # Not one op for both: the plan runs the product block by block with the update
    # that reads it (graph/chains.py), so dw never goes through memory.
    dw = c.op.matmul(swap(c, c.x), dz) if c.needs("w") else None
    db = c.op.sum(dz, (0,), False) if c.needs("b") else None
    return dx, dw, db


def _linear_samples(rng: Any, dtype: str) -> Any:
    sizes = ((1, 1, 1), (0, 3, 4), (5, 19, 3), (33, 70, 50), (4, 3, 1))
    for m, k, n in sizes:
        for act in EPILOGUES if m == 5 else ("linear", "relu"):
            x = uniform(rng, (m, k), dtype, -1, 1)
            w = uniform(rng, (k, n), dtype, -1, 1)
            b = uniform(rng, (n,), dtype, -1, 1)
            yield Sample((x, w, b), (act, case_alpha(act)))


op(
    "linear",
    inputs="x w b",
    attrs=ACTIVATION,
    infer=_linear_infer,
    kind=CONTRACT,
    ref=lambda x, w, b, act, alpha: apply_activation(act, x @ w + b, alpha),
    vjp=_linear_vjp,
    saves=("x", "w", "b", "y"),
    samples=_linear_samples,
    tol=GEMM_TOL,
    cost=_flops,
    doc="activation(x w + b), x (rows, inputs), w (inputs, units), b (units,)",
)


def _grad_input_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    dy, w, y = specs
    name = "linear_grad_input"
    check_float(name, check_same_dtype(name, [s.dtype for s in specs]))
    expected = (dy.shape[0], w.shape[0])
    if dy.shape[1] != w.shape[1] or y.shape != expected:
        raise ShapeError(
            f"[{name}] dy {dy.shape}, w {w.shape} and y {y.shape} do not match: y must "
            f"be {expected}"
        )
    return [Spec(expected, dy.dtype)]


def _grad_input_vjp(c: Any, g: Any) -> Any:
    # out = u * act'(y), u = dy w^T. act' is linear in u, so the gradient op serves
    # for both factors; the dependence on y goes through the gradient op's own vjp.
    gu = gradient(c, g)
    dy = c.op.matmul(gu, c.w)
    dw = c.op.matmul(swap(c, gu), c.dy)
    d_y = slope_of_output(c, g, lambda: c.op.matmul(c.dy, swap(c, c.w)))
    return dy, dw, d_y


def _grad_input_samples(rng: Any, dtype: str) -> Any:
    for m, k, n in ((1, 1, 1), (0, 3, 4), (5, 19, 3), (33, 70, 50), (4, 30, 1)):
        for act in BY_OUTPUT if m == 5 else ("linear", "relu"):
            y = uniform(rng, (m, k), dtype, -0.9, 0.9)
            y = np.where(np.abs(y) < 0.1, y + np.copysign(0.2, y), y).astype(dtype)
            dy = uniform(rng, (m, n), dtype, -1, 1)
            w = uniform(rng, (k, n), dtype, -1, 1)
            yield Sample((dy, w, y), (act, case_alpha(act)))


op(
    "linear_grad_input",
    inputs="dy w y",
    outputs="dx",
    attrs=GRADIENT,
    infer=_grad_input_infer,
    kind=CONTRACT,
    ref=lambda dy, w, y, act, alpha: apply_gradient(act, dy @ w.T, y, alpha),
    vjp=_grad_input_vjp,
    saves=("dy", "w", "y"),
    samples=_grad_input_samples,
    tol=GEMM_TOL,
    cost=_flops,
    doc="(dy w^T) * act'(z), with y = act(z) the output of the layer below",
)
