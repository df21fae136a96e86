# SPDX-License-Identifier: Apache-2.0
"""Learning rates that follow from the number of updates made so far.

A schedule is called with the step, a scalar tensor or number, and is made of
operations, so it runs inside the compiled step. It computes in float64: a float32 step
counter stops at 2**24.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn import config as _config
from fastnn import ops
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.optimizers.schedules"


def _step(step: Any) -> Tensor:
    return ops.cast(step, "float64")


def _rate(value: Any) -> Tensor:
    return ops.cast(value, _config.floatx())


def _positive(schedule: Any, name: str) -> None:
    value = getattr(schedule, name)
    if not value > 0:
        raise ValueError(
            f"[{type(schedule).__name__}] {name} must be > 0, got {value!r}."
        )


@export(_MODULE)
class LearningRateSchedule:
    """Base of schedules: define `__call__(step)` and, to be saved, `get_config()`."""

    # Names of the arguments, which are fields as well.
    _arguments: tuple[str, ...] = ()

    def __call__(self, step: Any) -> Any:
        """The learning rate of update number `step`, counted from 0."""
        raise NotImplementedError(
            f"[{type(self).__name__}] must define __call__(step)."
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object."""
        if not self._arguments:
            raise NotImplementedError(
                f"[{type(self).__name__}] must define get_config() to be saved."
            )
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)


@export(_MODULE)
class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate**(step / decay_steps)`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps after which the rate has been multiplied by `decay_rate`.
        decay_rate: factor.
        staircase: only decay at multiples of `decay_steps`.
        name: name.

    Example:
        >>> rate = keras.optimizers.schedules.ExponentialDecay(0.1, 100, 0.5)
        >>> [round(float(rate(step)), 4) for step in (0, 100, 200)]
        [0.1, 0.05, 0.025]
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _positive(self, "decay_steps")

    def __call__(self, step: Any) -> Tensor:
        power = _step(step) / float(self.decay_steps)
        if self.staircase:
            power = ops.floor(power)
        factor = ops.power(float(self.decay_rate), power)
        return _rate(factor * float(self.initial_learning_rate))


@export(_MODULE)
class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps of one unit of time.
        decay_rate: decay per unit of time.
        staircase: only decay at multiples of `decay_steps`.
        name: name.
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "decay_rate",
        "staircase",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _positive(self, "decay_steps")

    def __call__(self, step: Any) -> Tensor:
        time = _step(step) / float(self.decay_steps)
        if self.staircase:
            time = ops.floor(time)
        rate = float(self.initial_learning_rate) / (time * float(self.decay_rate) + 1.0)
        return _rate(rate)


@export(_MODULE)
class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` from after `boundaries[i - 1]` up to and including `boundaries[i]`.

    Args:
        boundaries: rising steps.
        values: rates, one more than boundaries.
        name: name.

    Example:
        >>> rate = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.1, 0.01])
        >>> [round(float(rate(step)), 4) for step in (5, 6)]
        [0.1, 0.01]
    """

    _arguments = ("boundaries", "values", "name")

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "[PiecewiseConstantDecay] needs one value more than boundaries, got "
                f"{len(boundaries)} boundaries and {len(values)} values."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Tensor:
        step = _step(step)
        rate = ops.cast(float(self.values[-1]), "float64")
        pieces = list(zip(self.boundaries, self.values, strict=False))
        for boundary, value in reversed(pieces):
            rate = ops.where(ops.less_equal(step, float(boundary)), float(value), rate)
        return _rate(rate)


@export(_MODULE)
class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) * (1 - min(step, decay_steps) / decay_steps)**power + end`.

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps until the end.
        end_learning_rate: rate from then on.
        power: 1 is a straight line.
        cycle: start again instead, with `decay_steps` multiplied until it is beyond the
            step.
        name: name.
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "end_learning_rate",
        "power",
        "cycle",
        "name",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        _positive(self, "decay_steps")

    def __call__(self, step: Any) -> Tensor:
        part = _step(step) / float(self.decay_steps)
        if self.cycle:
            part = part / ops.maximum(ops.ceil(part), 1.0)
        else:
            part = ops.minimum(part, 1.0)
        span = float(self.initial_learning_rate) - float(self.end_learning_rate)
        left = ops.power(1.0 - part, float(self.power))
        return _rate(left * span + float(self.end_learning_rate))


@export(_MODULE)
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` times it, after a linear warm-up.

    `rate * ((1 - alpha) * (1 + cos(pi * t)) / 2 + alpha)` with
    `t = min(step, decay_steps) / decay_steps` (Loshchilov and Hutter, 2016).

    Args:
        initial_learning_rate: rate at step 0.
        decay_steps: steps from the top to the end.
        alpha: last rate as a share of the top one.
        name: name.
        warmup_target: top rate, reached after `warmup_steps`; None starts at the top.
        warmup_steps: steps of the warm-up.

    Example:
        >>> rate = keras.optimizers.schedules.CosineDecay(0.1, 100)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100)]
        [0.1, 0.05, 0.0]
    """

    _arguments = (
        "initial_learning_rate",
        "decay_steps",
        "alpha",
        "name",
        "warmup_target",
        "warmup_steps",
    )

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        _positive(self, "decay_steps")

    def _decay(self, step: Tensor, top: float) -> Tensor:
        part = ops.minimum(step / float(self.decay_steps), 1.0)
        wave = (ops.cos(part * math.pi) + 1.0) * 0.5
        return (wave * (1.0 - self.alpha) + float(self.alpha)) * top

    def __call__(self, step: Any) -> Tensor:
        step = _step(step)
        start = float(self.initial_learning_rate)
        if self.warmup_target is None:
            return _rate(self._decay(step, start))
        top, steps = float(self.warmup_target), float(self.warmup_steps)
        falling = self._decay(ops.maximum(step - steps, 0.0), top)
        if not steps:
            return _rate(falling)
        rising = step * ((top - start) / steps) + start
        return _rate(ops.where(ops.less(step, steps), rising, falling))


@export(_MODULE)
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay that starts again, each period longer and lower than the last.

    Args:
        initial_learning_rate: rate at step 0.
        first_decay_steps: steps of the first period.
        t_mul: factor of the length of each next period.
        m_mul: factor of the top rate of each next period.
        alpha: lowest rate as a share of the top one.
        name: name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name
        _positive(self, "first_decay_steps")

    def __call__(self, step: Any) -> Tensor:
        part = _step(step) / float(self.first_decay_steps)
        growth = float(self._t_mul)
        if growth == 1.0:
            period = ops.floor(part)
            part = part - period
        else:
            # Period i starts at (1 - growth**i) / (1 - growth) first periods.
            period = ops.log(1.0 - part * (1.0 - growth)) / math.log(growth)
            period = ops.floor(period + 1e-12)  # a start belongs to its own period
            length = ops.power(growth, period)
            part = (part - (1.0 - length) / (1.0 - growth)) / length
        wave = (ops.cos(part * math.pi) + 1.0) * 0.5
        wave = wave * ops.power(float(self._m_mul), period)
        wave = wave * (1.0 - self.alpha) + float(self.alpha)
        return _rate(wave * float(self.initial_learning_rate))

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


@export(_MODULE)
class OneCycle(LearningRateSchedule):
    """Up to the largest rate, down again, then almost to 0, all in straight lines.

    L. Smith, "A disciplined approach to neural network hyper-parameters" (2018). The
    largest rate is about a tenth of the one at which training diverges, which
    `fastnn.utils.find_learning_rate` finds.

    Args:
        max_learning_rate: rate in the middle of the cycle.
        total_steps: updates of the whole training: epochs * batches.
        start_learning_rate: rate at both ends of the cycle; a tenth of the largest.
        last_steps: updates after the cycle; a tenth of all and one.
        last_learning_rate: rate at the end of those, and afterwards; a thousandth of
            the rate at the start.
        name: of the schedule.

    Example:
        >>> rate = keras.optimizers.schedules.OneCycle(0.5, 21)
        >>> [round(float(rate(step)), 4) for step in (0, 9, 18)]
        [0.05, 0.5, 0.05]
    """

    _arguments = (
        "max_learning_rate",
        "total_steps",
        "start_learning_rate",
        "last_steps",
        "last_learning_rate",
        "name",
    )

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        start_learning_rate: float | None = None,
        last_steps: int | None = None,
        last_learning_rate: float | None = None,
        name: str = "OneCycle",
    ) -> None:
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.start_learning_rate = start_learning_rate or max_learning_rate / 10
        self.last_steps = total_steps // 10 + 1 if last_steps is None else last_steps
        self.last_learning_rate = last_learning_rate or self.start_learning_rate / 1000
        self.name = name
        for field in ("max_learning_rate", "total_steps"):
            _positive(self, field)
        if not 0 <= self.last_steps <= total_steps - 2:
            raise ValueError(
                f"[OneCycle] last_steps={self.last_steps} of total_steps={total_steps} "
                "leave no steps for the cycle."
            )

    def __call__(self, step: Any) -> Tensor:
        step = _step(step)
        half = (self.total_steps - self.last_steps) // 2
        low, high = float(self.start_learning_rate), float(self.max_learning_rate)
        cycle = low + (high - low) * (1.0 - ops.abs(step - float(half)) / float(half))
        rest = max(self.total_steps - 2 * half, 1)
        share = ops.minimum((step - 2.0 * half) / float(rest), 1.0)
        tail = low + (float(self.last_learning_rate) - low) * share
        return _rate(ops.where(step < 2.0 * half, cycle, tail))


_TABLE = exported(_MODULE)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The config dict of a schedule."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)
