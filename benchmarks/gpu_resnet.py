# SPDX-License-Identifier: Apache-2.0
"""A training step of ResNet-50 on a GPU: bfloat16, channels last, SGD with momentum.

He et al. 2016, the stride in the 3x3 convolution. All three have their batch on the
device; weights are float32, products and convolutions bfloat16. torch: model, loss and
gradients compiled, the whole step in a CUDA graph. JAX: one jitted step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import fastnn
from fastnn import layers

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], Any]


class Shape(NamedTuple):
    """What is run: `blocks` are (filters, repeats, stride), `steps` make an epoch."""

    batch: int
    size: int
    blocks: tuple[tuple[int, int, int], ...]
    steps: int


FULL = Shape(64, 224, ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)), 8)
TINY = Shape(2, 32, ((4, 1, 1), (8, 2, 2)), 2)
TINIEST = Shape(2, 8, ((2, 1, 1),), 1)
CLASSES, RATE, MOMENTUM, DECAY, EPSILON = 1000, 0.1, 0.9, 0.9, 1e-5


def data(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """One batch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(shape.batch, shape.size, shape.size, 3)).astype("float32")
    return x, rng.integers(0, CLASSES, shape.batch).astype("int32")


# -- fastnn ----------------------------------------------------------------------------


def model(shape: Shape) -> fastnn.Model:
    """The network of layers."""

    def conv(x: Any, filters: int, kernel: int, stride: int, relu: bool) -> Any:
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=DECAY, epsilon=EPSILON)(x)
        return layers.ReLU()(x) if relu else x

    given = fastnn.Input((shape.size, shape.size, 3))
    x = conv(given, shape.blocks[0][0], 7, 2, relu=True)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters, count, stride in shape.blocks:
        for i in range(count):
            step = stride if i == 0 else 1
            y = conv(x, filters, 1, 1, relu=True)
            y = conv(y, filters, 3, step, relu=True)
            y = conv(y, 4 * filters, 1, 1, relu=False)
            if i == 0:
                x = conv(x, 4 * filters, 1, step, relu=False)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return fastnn.Model(given, layers.Dense(CLASSES, dtype="float32")(x))


class Fastnn:
    """`fit` on a few batches; what the upload of a call takes is measured apart."""

    def __init__(self, shape: Shape) -> None:
        before = fastnn.config.dtype_policy()
        fastnn.config.set_dtype_policy("mixed_bfloat16")
        try:
            self.model = model(shape)
        finally:
            fastnn.config.set_dtype_policy(before)
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(fastnn.optimizers.SGD(RATE, MOMENTUM), loss)
        x, y = data(shape)
        self.x, self.y = (np.concatenate([a] * shape.steps) for a in (x, y))
        self.batch = shape.batch

    def epochs(self, count: int) -> list[float]:
        """Losses."""
        with fastnn.device("gpu:0"):
            found = self.model.fit(self.x, self.y, self.batch, count, verbose=0)
        losses: list[float] = found.history["loss"]
        return losses


# -- torch -----------------------------------------------------------------------------


def torch_model(shape: Shape) -> Any:
    """The same network; channels first in the shapes, last in memory."""
    from torch import nn

    def conv(into: int, filters: int, kernel: int, stride: int, relu: bool) -> Any:
        parts = [
            nn.Conv2d(into, filters, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(filters, eps=EPSILON, momentum=1 - DECAY),
        ]
        return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if relu else []))

    class Block(nn.Module):
        def __init__(self, into: int, filters: int, stride: int, first: bool) -> None:
            super().__init__()
            self.body = nn.Sequential(
                conv(into, filters, 1, 1, relu=True),
                conv(filters, filters, 3, stride, relu=True),
                conv(filters, 4 * filters, 1, 1, relu=False),
            )
            wide = conv(into, 4 * filters, 1, stride, relu=False)
            self.side = wide if first else nn.Identity()

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.side(x) + self.body(x))

    into = shape.blocks[0][0]
    parts = [conv(3, into, 7, 2, relu=True), nn.MaxPool2d(3, 2, 1)]
    for filters, count, stride in shape.blocks:
        for i in range(count):
            parts.append(Block(into, filters, stride if i == 0 else 1, i == 0))
            into = 4 * filters
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(into, CLASSES)]
    return nn.Sequential(*parts, *head)


def torch_step(shape: Shape, device: str = "cuda", mode: str = "default") -> Step:
    """One step on a batch that lies on the device; returns the loss."""
    import torch

    from benchmarks.gpu_peers import capture, compiled

    net = torch_model(shape).to(device, memory_format=torch.channels_last)
    fused = device == "cuda"
    optimizer = torch.optim.SGD(net.parameters(), RATE, MOMENTUM, fused=fused)
    x, y = (torch.from_numpy(a).to(device) for a in data(shape))
    images, labels = x.permute(0, 3, 1, 2), y.long()
    loss = torch.zeros((), device=device)

    def loss_of(x: Any, y: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            out = net(x)
        return torch.nn.functional.cross_entropy(out.float(), y)

    run = compiled(loss_of, device, mode)

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        found = run(images, labels)
        found.backward()
        optimizer.step()
        loss.copy_(found.detach())
        return loss

    return capture(step, device)


# -- JAX -------------------------------------------------------------------------------


def _jax_conv(x: Any, w: Any, stride: int) -> Any:
    from jax import lax

    pad = w.shape[0] // 2
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, w, (stride, stride), [(pad, pad)] * 2, dimension_numbers=numbers
    )


class _Walk:
    """Takes the weights of one convolution after the other."""

    def __init__(self, params: list, state: list, kind: Any) -> None:
        self.given = iter(zip(params, state, strict=True))
        self.kind = kind
        self.new_state: list = []

    def conv(self, x: Any, stride: int, relu: bool) -> Any:
        """Convolution, normalization with the batch's statistics, activation."""
        import jax
        import jax.numpy as jnp

        (w, gamma, beta), (mean, variance) = next(self.given)
        z = _jax_conv(x, w.astype(self.kind), stride)
        wide = z.astype(jnp.float32)
        m = wide.mean((0, 1, 2))
        v = jnp.square(wide).mean((0, 1, 2)) - jnp.square(m)
        self.new_state.append(
            (mean * DECAY + m * (1 - DECAY), variance * DECAY + v * (1 - DECAY))
        )
        scale = gamma * jax.lax.rsqrt(v + EPSILON)
        y = (wide * scale + (beta - m * scale)).astype(self.kind)
        return jax.nn.relu(y) if relu else y


def _jax_loss(
    shape: Shape, kind: Any, params: list, state: list, x: Any, y: Any
) -> tuple[Any, list]:
    import jax
    import jax.numpy as jnp
    from jax import lax

    walk = _Walk(params[:-1], state, kind)
    x = walk.conv(x.astype(kind), 2, True)
    x = lax.reduce_window(
        x,
        np.array(-np.inf, x.dtype),  # known now: else it has no gradient
        lax.max,
        (1, 3, 3, 1),
        (1, 2, 2, 1),
        [(0, 0), (1, 1), (1, 1), (0, 0)],
    )
    for _, count, stride in shape.blocks:
        for i in range(count):
            step = stride if i == 0 else 1
            body = walk.conv(x, 1, True)
            body = walk.conv(body, step, True)
            body = walk.conv(body, 1, False)
            side = walk.conv(x, step, False) if i == 0 else x
            x = jax.nn.relu(side + body)
    w, b = params[-1]
    out = x.astype(jnp.float32).mean((1, 2)) @ w + b
    rows = jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1)
    return -rows.mean(), walk.new_state


def _jax_weights(shape: Shape) -> tuple[list, list]:
    """Parameters and statistics of float32, in the order of `_jax_loss`."""
    import jax.numpy as jnp

    rng, params, state = np.random.default_rng(0), [], []

    def conv(into: int, filters: int, kernel: int) -> None:
        scale = (2 / (kernel * kernel * filters)) ** 0.5
        w = rng.normal(size=(kernel, kernel, into, filters)) * scale
        kernel_ = jnp.asarray(w, jnp.float32)
        params.append((kernel_, jnp.ones(filters), jnp.zeros(filters)))
        state.append((jnp.zeros(filters), jnp.ones(filters)))

    into = shape.blocks[0][0]
    conv(3, into, 7)
    for filters, count, _ in shape.blocks:
        for i in range(count):
            conv(into, filters, 1)
            conv(filters, filters, 3)
            conv(filters, 4 * filters, 1)
            if i == 0:
                conv(into, 4 * filters, 1)
            into = 4 * filters
    w = rng.normal(size=(into, CLASSES)) * into**-0.5
    params.append((jnp.asarray(w, jnp.float32), jnp.zeros(CLASSES)))
    return params, state


def jax_step(shape: Shape) -> Step:
    """One jitted step; returns the loss."""
    import jax
    import jax.numpy as jnp

    params, state = _jax_weights(shape)
    slots = jax.tree.map(jnp.zeros_like, params)
    x, y = map(jnp.asarray, data(shape))
    loss_of = partial(_jax_loss, shape, jnp.bfloat16)

    @partial(jax.jit, donate_argnums=0)
    def update(carry: Any, x: Any, y: Any) -> Any:
        params, state, slots = carry
        grad = jax.value_and_grad(loss_of, has_aux=True)
        (loss, state), grads = grad(params, state, x, y)
        slots = jax.tree.map(lambda v, g: MOMENTUM * v + g, slots, grads)
        params = jax.tree.map(lambda w, v: w - RATE * v, params, slots)
        return (params, state, slots), loss

    carry = params, state, slots

    def step() -> Any:
        nonlocal carry
        carry, loss = update(carry, x, y)
        return loss

    return step
