# SPDX-License-Identifier: Apache-2.0
"""JAX: a whole epoch in one `lax.scan` (its strongest form), and one jit per step."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.layers import Dropout, Pool
from benchmarks.peers._jax_layers import State, forward, state_of
from benchmarks.peers.base import Peer
from benchmarks.workloads import MSE, Optimizer, Workload

Tree = Any


def _loss(
    workload: Workload,
    windows: bool,
    params: Tree,
    statistics: Tree,
    x: jax.Array,
    y: jax.Array,
    key: jax.Array | None,
) -> tuple[jax.Array, Tree]:
    out, statistics = forward(
        workload, State(params, statistics), x, key, windows, training=True
    )
    if workload.loss == MSE:
        return jnp.mean((out - y) ** 2), statistics
    log_p = jax.nn.log_softmax(out)
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1)), statistics


def _slots(o: Optimizer, params: Tree) -> Tree:
    """Optimizer state: (t, m, v), each only where the rule needs it."""
    if o.name == "sgd":
        return ()
    v = jax.tree.map(jnp.zeros_like, params)
    if o.name == "rmsprop":
        return (v,)
    return (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params), v)


def _apply(o: Optimizer, params: Tree, state: Tree, grads: Tree) -> tuple[Tree, Tree]:
    lr = o.learning_rate
    if o.name == "sgd":
        return jax.tree.map(lambda w, g: w - lr * g, params, grads), ()
    if o.name == "rmsprop":
        v = jax.tree.map(lambda v, g: o.rho * v + (1 - o.rho) * g * g, state[0], grads)
        params = jax.tree.map(
            lambda w, g, v: w - lr * g * lax.rsqrt(v + o.epsilon), params, grads, v
        )
        return params, (v,)
    t = state[0] + 1
    m = jax.tree.map(lambda m, g: m + (g - m) * (1 - o.beta_1), state[1], grads)
    v = jax.tree.map(lambda v, g: v + (g * g - v) * (1 - o.beta_2), state[2], grads)
    scale = lr * jnp.sqrt(1 - o.beta_2**t) / (1 - o.beta_1**t)
    params = jax.tree.map(
        lambda w, m, v: w - scale * m / (jnp.sqrt(v) + o.epsilon), params, m, v
    )
    return params, (t, m, v)


def _train(
    workload: Workload, windows: bool, carry: Tree, x: jax.Array, y: jax.Array
) -> tuple[Tree, jax.Array]:
    (params, statistics), slots, key = carry
    if key is not None:
        key, mask_key = jax.random.split(key)
    else:
        mask_key = None
    loss_of = jax.value_and_grad(partial(_loss, workload, windows), has_aux=True)
    (loss, statistics), grads = loss_of(params, statistics, x, y, mask_key)
    params, slots = _apply(workload.optimizer, params, slots, grads)
    return (State(params, statistics), slots, key), loss


class JaxPeer(Peer):
    def __init__(self, scan: bool) -> None:
        self.scan = scan
        self.unroll, self.windows = 1, True

    def build(self) -> None:
        workload = self.workload
        train = partial(_train, workload, self.windows)
        self.step = jax.jit(train, donate_argnums=0)
        self.infer = jax.jit(self._infer)

        def epoch_in_order(carry: Tree, x: jax.Array, y: jax.Array):
            x = x.reshape(-1, workload.batch, *x.shape[1:])
            y = y.reshape(-1, workload.batch, *y.shape[1:])
            carry, losses = lax.scan(
                lambda c, b: train(c, *b), carry, (x, y), unroll=self.unroll
            )
            return carry, losses.mean()

        def epoch_by_rows(carry: Tree, x: jax.Array, y: jax.Array, rows: jax.Array):
            def body(carry: Tree, rows: jax.Array):
                return train(carry, x[rows], y[rows])

            rows = rows.reshape(-1, workload.batch)
            carry, losses = lax.scan(body, carry, rows, unroll=self.unroll)
            return carry, losses.mean()

        self.in_order = jax.jit(epoch_in_order, donate_argnums=0)
        self.by_rows = jax.jit(epoch_by_rows, donate_argnums=0)
        self.jx, self.jy = jnp.asarray(self.x), jnp.asarray(self.y)
        self.rng = np.random.default_rng(0)
        self.reset()

    def _infer(self, state: State, x: jax.Array) -> jax.Array:
        out, _ = forward(self.workload, state, x, None, self.windows, training=False)
        return out if self.workload.loss == MSE else jax.nn.softmax(out)

    def reset(self) -> None:
        state = state_of(self.workload, self.weights)
        masks = any(isinstance(d, Dropout) and d.rate for d in self.workload.layers)
        key = jax.random.key(0) if masks else None
        self.carry = (state, _slots(self.workload.optimizer, state.params), key)
        jax.block_until_ready(self.carry)

    def step_losses(self, steps: int) -> list[float]:
        batch, losses = self.workload.batch, []
        for start in range(0, steps * batch, batch):
            x, y = self.x[start : start + batch], self.y[start : start + batch]
            program = self.in_order if self.scan else self.step
            self.carry, loss = program(self.carry, x, y)
            losses.append(float(loss))
        return losses

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        run = self._scan_epoch if self.scan else self._step_epoch
        losses = [run(shuffle) for _ in range(epochs)]
        jax.block_until_ready(self.carry)
        return [float(np.mean(loss)) for loss in losses]

    def _scan_epoch(self, shuffle: bool) -> Any:
        if not shuffle:
            self.carry, loss = self.in_order(self.carry, self.jx, self.jy)
            return loss
        # The gather stays inside the scan: gathering the epoch first, in XLA or in
        # NumPy, took 5 to 30 % longer on mlp32 and mlp128.
        rows = self.rng.permutation(len(self.x)).astype(np.int32)
        self.carry, loss = self.by_rows(self.carry, self.jx, self.jy, rows)
        return loss

    def _step_epoch(self, shuffle: bool) -> Any:
        """Batches cut in NumPy: a slice of a device array is a dispatch of its own."""
        rows = self.rng.permutation(len(self.x)) if shuffle else None
        batch, losses = self.workload.batch, []
        for start in range(0, len(self.x), batch):
            take = slice(start, start + batch) if rows is None else rows[start:][:batch]
            self.carry, loss = self.step(self.carry, self.x[take], self.y[take])
            losses.append(loss)
        return losses

    def tune(self) -> str:
        """Steps unrolled in the scan; with images, whose steps are long, the form of
        pooling instead."""
        tried: list[tuple[int, bool]] = []
        if self.workload.has(Pool):
            tried = [(1, True), (1, False)]
        elif self.scan:
            tried = [(1, True), (4, True)]
        seconds: dict[tuple[int, bool], float] = {}
        for choice in tried:
            self.unroll, self.windows = choice
            self.build()
            self.run_epochs(1, True)
            seconds[choice] = min(self._epoch_seconds() for _ in range(3))
        if not seconds:
            return ""
        self.unroll, self.windows = min(seconds, key=seconds.__getitem__)
        self.build()
        if self.workload.has(Pool):
            return "pool by windows" if self.windows else "pool by reshaping"
        return f"unroll={self.unroll}"

    def _epoch_seconds(self) -> float:
        start = time.perf_counter()
        self.run_epochs(1, True)
        return time.perf_counter() - start

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.infer(self.carry[0], x))

    def versions(self) -> dict[str, str]:
        import jaxlib

        return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


def make(variant: str) -> Peer:
    return JaxPeer(scan=variant == "scan")
