# SPDX-License-Identifier: Apache-2.0
"""Random tensors from a counter-based stream (Philox), the same on every thread count.

A draw is a function of (seed, step, element): a `SeedGenerator` advances its step at
each draw, an integer seed always gives the same numbers, None uses the global stream
that `set_random_seed` starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config, seeds
from fastnn.autodiff import raw
from fastnn.autodiff._tape import state
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor


class SeedGenerator:
    """A stream of random states, kept in a variable so that plans can advance it.

    Args:
        seed: int, or None for one drawn from the global stream.
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise ValueError(
                f"[SeedGenerator] seed must be an integer or None, received {seed!r}"
            )
        self._initial_seed = seed
        self.seed = seeds.next_seed() if seed is None else seed
        self.name = name or "seed_generator"
        value = np.array([_signed(self.seed), 0], np.int64)
        self.state = Variable(value, trainable=False, name="seed_generator_state")

    def next(self) -> Tensor:
        """The current (seed, step) as int64 (2,); the step advances by one."""
        value = self.state.value
        self.state.assign(raw.add(value, Tensor(_ADVANCE)))
        return value

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


_ADVANCE = np.array([0, 1], np.int64)


def _signed(seed: int) -> int:
    """A 64-bit pattern as int64."""
    seed %= 2**64
    return seed - 2**64 if seed >= 2**63 else seed


def draw_state(seed: Any = None) -> Tensor:
    """(seed, step) for one draw from an int, a SeedGenerator, a tensor or None."""
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, Tensor):
        return raw.cast(seed, "int64") if seed.dtype != "int64" else seed
    if seed is None:
        if state().tracer is not None:
            raise ValueError(
                "[random] a seed is needed inside a traced function, or every call "
                "would draw the same numbers: pass seed=SeedGenerator()"
            )
        seed = seeds.next_seed()
    return Tensor(np.array([_signed(int(seed)), 0], np.int64))


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)


def _draw(op: Any, a: float, b: float, shape: Any, dtype: Any, seed: Any) -> Tensor:
    """One of the generators with two parameters, in floatx() unless told otherwise."""
    state = draw_state(seed)
    return op(state, float(a), float(b), _shape(shape), dtype or config.floatx())


def uniform(
    shape: Any,
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Tensor:
    """Uniform in [minval, maxval); floats only (`randint` for integers)."""
    return _draw(raw.random_uniform, minval, maxval, shape, dtype, seed)


def normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Tensor:
    """Normal with the given mean and standard deviation."""
    return _draw(raw.random_normal, mean, stddev, shape, dtype, seed)


def truncated_normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: str | None = None,
    seed: Any = None,
) -> Tensor:
    """Normal restricted to within two standard deviations of the mean."""
    return _draw(raw.truncated_normal, mean, stddev, shape, dtype, seed)


def randint(
    shape: Any, minval: int, maxval: int, dtype: str = "int32", seed: Any = None
) -> Tensor:
    """Integers in [minval, maxval), uniform to within 2^-53 * (maxval - minval)."""
    u = raw.random_uniform(
        draw_state(seed), float(minval), float(maxval), _shape(shape), "float64"
    )
    return raw.cast(raw.floor(u), dtype)


def dropout(
    inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None
) -> Tensor:
    """Zero elements with probability `rate`, scale the rest by 1 / (1 - rate).

    `noise_shape` draws one decision per element of that shape and broadcasts it.
    """
    x = convert_to_tensor(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"[dropout] rate must be between 0 and 1, received {rate}")
    if noise_shape is None or tuple(noise_shape) == x.shape:
        return raw.dropout(x, draw_state(seed), float(rate))
    shape = tuple(
        n if m is None else int(m) for m, n in zip(noise_shape, x.shape, strict=True)
    )
    ones = Tensor(np.ones(shape, x.dtype))
    return raw.multiply(x, raw.dropout(ones, draw_state(seed), float(rate)))


def permutation(n: int, seed: int, stream: int = 0) -> np.ndarray:
    """int64 (n,): a permutation that depends on (seed, stream) only."""
    from fastnn import _core

    return _core.random_permutation(seed % 2**64, stream % 2**64, n)


def shuffle(x: Any, axis: int = 0, seed: Any = None) -> Tensor:
    """x with its slices along an axis in random order."""
    from fastnn.ops.arrays import take

    t = convert_to_tensor(x)
    values = draw_state(seed).numpy()
    order = permutation(t.shape[axis], int(values[0]), int(values[1]))
    return take(t, Tensor(order), axis)


def categorical(
    logits: Any, num_samples: int, dtype: str = "int32", seed: Any = None
) -> Tensor:
    """Class indices (rows, num_samples) drawn from softmax(logits) (Gumbel maximum)."""
    z = convert_to_tensor(logits)
    rows, classes = z.shape
    u = uniform((rows, num_samples, classes), 2.0**-24, 1.0, z.dtype, seed)
    gumbel = raw.negative(raw.log(raw.negative(raw.log(u))))
    scores = raw.add(raw.reshape(z, (rows, 1, classes)), gumbel)
    return raw.cast(raw.argmax(scores, 2, False), dtype)
