# SPDX-License-Identifier: Apache-2.0
"""Random tensors from a counter-based stream (Philox), the same on every thread count.

A draw is a function of (seed, step, element): a `SeedGenerator` advances its step at
each draw, an integer seed always gives the same numbers, None uses the global stream
that `set_random_seed` starts.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from fastnn import config, seeds
from fastnn._names import auto_name
from fastnn.autodiff import raw
from fastnn.autodiff._tape import state
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor, Variable, convert_to_tensor
from fastnn.opset._dtypes import INTEGERS, RANGE, is_float, know


class SeedGenerator:
    """A stream of random states, kept in a variable so that plans can advance it.

    Args:
        seed: int, or None for one drawn from the global stream.
    """

    def __init__(
        self, seed: int | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        kwargs.pop("backend", None)  # Keras' own argument; there is one stream here
        if kwargs:
            raise ValueError(f"[SeedGenerator] unknown arguments {sorted(kwargs)}.")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise ValueError(
                f"[SeedGenerator] seed must be an integer or None, received {seed!r}"
            )
        self._initial_seed = seed
        self.seed = seeds.next_seed() if seed is None else seed
        self.name = name or auto_name("SeedGenerator")
        value = np.array([_signed(self.seed), 0], np.int64)
        self.state = Variable(value, trainable=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> Tensor:
        """The current (seed, step) as int64 (2,); the step advances by one.

        `ordered` is Keras' argument for its other way to advance; every state gives
        unrelated numbers here, so it makes no difference.
        """
        value = self.state.value
        self.state.assign(raw.add(value, Tensor(_ADVANCE)))
        return value

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._initial_seed, "name": self.name}

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
        tracer = state().tracer
        if tracer is not None:
            return _stream_of(tracer).next()
        seed = seeds.next_seed()
    return Tensor(np.array([_signed(int(seed)), 0], np.int64))


def _stream_of(tracer: Any) -> SeedGenerator:
    """What draws without a seed in a traced function: new numbers at each call."""
    while tracer.outer is not None:  # of the whole function, not of a loop's body
        tracer = tracer.outer
    if tracer.stream is None:
        with init_scope():
            tracer.stream = SeedGenerator()
        _streams.append(ref(tracer.stream.state))
    found: SeedGenerator = tracer.stream
    return found


_streams: list[ref[Variable]] = []  # of traced functions, oldest first


def _begin_anew() -> None:
    alive = [(r, v) for r in _streams if (v := r()) is not None]
    _streams[:] = [r for r, _ in alive]
    for _, variable in alive:
        variable.assign(np.array([_signed(seeds.next_seed()), 0], np.int64))


seeds.listeners.append(_begin_anew)


def _shape(shape: Any) -> tuple[int, ...]:
    return (int(shape),) if np.ndim(shape) == 0 else tuple(int(n) for n in shape)


def _draw(op: Any, a: float, b: float, shape: Any, dtype: Any, seed: Any) -> Tensor:
    """One of the generators with two parameters, in floatx() unless told otherwise."""
    dtype = _float_dtype(op.__name__, dtype)
    return op(draw_state(seed), float(a), float(b), _shape(shape), dtype)


def _float_dtype(name: str, dtype: Any) -> str:
    if not isinstance(dtype, str):
        dtype = config.floatx() if dtype is None else np.dtype(dtype).name
    if not is_float(know(dtype)):
        raise ValueError(f"[{name}] dtype must be a float type, received {dtype}")
    return dtype


def _parameter(value: Any, shape: tuple[int, ...], dtype: str) -> Tensor:
    """A parameter of a distribution in the shape and dtype of the result."""
    if not isinstance(value, Tensor):  # a number keeps its digits
        value = np.asarray(value, dtype)
    t = convert_to_tensor(value)
    if t.dtype != dtype:
        t = raw.cast(t, dtype)
    return t if t.shape == shape else raw.broadcast_to(t, shape)


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
    """Integers in [minval, maxval), each exactly as likely as the others."""
    dtype = np.dtype(know(dtype or "int32")).name
    low, high = int(minval), int(maxval)
    if dtype not in INTEGERS:
        raise ValueError(f"[randint] dtype must be an integer type, received {dtype}")
    bottom, top = RANGE[dtype]
    if not bottom <= low < high <= top + 1:
        raise ValueError(
            f"[randint] needs minval < maxval within {dtype}, [{bottom}, {top + 1}], "
            f"received minval={minval}, maxval={maxval}"
        )
    span = _signed(high - low)
    return raw.random_integers(
        draw_state(seed), _signed(low), span, _shape(shape), dtype
    )


def gamma(shape: Any, alpha: Any, dtype: str | None = None, seed: Any = None) -> Tensor:
    """Gamma numbers of shape parameter `alpha` (broadcast to `shape`) and scale 1."""
    dtype, size = _float_dtype("gamma", dtype), _shape(shape)
    return raw.random_gamma(_parameter(alpha, size, dtype), draw_state(seed), dtype)


def beta(
    shape: Any, alpha: Any, beta: Any, dtype: str | None = None, seed: Any = None
) -> Tensor:
    """Beta numbers; parameters are broadcast to `shape`."""
    dtype, size = _float_dtype("beta", dtype), _shape(shape)
    a, b = _parameter(alpha, size, dtype), _parameter(beta, size, dtype)
    return raw.random_beta(a, b, draw_state(seed), dtype)


def binomial(
    shape: Any,
    counts: Any,
    probabilities: Any,
    dtype: str | None = None,
    seed: Any = None,
) -> Tensor:
    """Successes in `counts` trials, as floats; parameters are broadcast to `shape`."""
    dtype, size = _float_dtype("binomial", dtype), _shape(shape)
    n, p = _parameter(counts, size, dtype), _parameter(probabilities, size, dtype)
    return raw.random_binomial(n, p, draw_state(seed), dtype)


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
    from fastnn.ops.indexing import take

    t = convert_to_tensor(x)
    if not -t.ndim <= axis < t.ndim:
        raise ValueError(f"[shuffle] axis {axis} is out of range for shape {t.shape}")
    order = raw.random_permutation(draw_state(seed), t.shape[axis])
    return take(t, order, axis)


def categorical(
    logits: Any, num_samples: int, dtype: str = "int32", seed: Any = None
) -> Tensor:
    """Class indices (rows, num_samples) drawn from softmax(logits)."""
    z = convert_to_tensor(logits)
    if z.ndim != 2:
        raise ValueError(
            f"[categorical] logits must have shape (rows, classes), received {z.shape}"
        )
    if not is_float(z.dtype):
        z = raw.cast(z, config.floatx())
    classes = raw.random_categorical(z, draw_state(seed), int(num_samples))
    return raw.cast(classes, dtype or "int32")
