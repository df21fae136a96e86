# SPDX-License-Identifier: Apache-2.0
"""Optimizer: what surrounds the update rule of one variable.

Order of one step, as in Keras 3: clip the gradients, decay the weights, update each
variable, apply its constraint, move the averages, count the iteration. Everything is
operations and assignments without Python branches on values, so that a step can be
traced once and run natively.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from fastnn import config as _config
from fastnn import initializers, ops
from fastnn._names import auto_name
from fastnn.autodiff.tensor import Variable
from fastnn.errors import warn_renamed, warn_user
from fastnn.optimizers._changes import ChangesMixin
from fastnn.optimizers._gradients import clip_gradients, drop_missing, unzipped
from fastnn.optimizers._stored import stored_variables
from fastnn.optimizers._updates import UpdatesMixin
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor
    from fastnn.optimizers.schedules import LearningRateSchedule

LearningRate: TypeAlias = "float | LearningRateSchedule | Callable[[], Any]"


@export("keras.optimizers", "keras")
class Optimizer(UpdatesMixin, ChangesMixin):
    """Base of optimizers: define `update_step`, and `build` for slot variables.

    Args:
        learning_rate: number, schedule, or function of no arguments.
        weight_decay: subtract `learning_rate * weight_decay * w` before each update.
        clipnorm: scale each gradient to at most this norm.
        clipvalue: clip each component of the gradients to this magnitude.
        global_clipnorm: scale all gradients together to at most this norm.
        use_ema: keep an exponential moving average of the weights.
        ema_momentum: momentum of that average.
        ema_overwrite_frequency: iterations after which the average replaces the
            weights; None leaves that to `finalize_variable_values`.
        loss_scale_factor: factor the loss was multiplied by; gradients are divided by
            it.
        gradient_accumulation_steps: update every so many steps, with the mean gradient.
        name: name, default from the class.
        **kwargs: the old spellings `lr` and `decay`.
    """

    _slot_options: ClassVar[tuple[str, ...]] = (
        "use_ema",
        "gradient_accumulation_steps",
    )

    def __init__(
        self,
        learning_rate: LearningRate,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        learning_rate = _old_spellings(type(self).__name__, learning_rate, kwargs)
        self.name = name or auto_name(type(self).__name__)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_options()
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._indices: dict[Variable, int] = {}
        self._averages: list[Variable] = []
        self._accumulated_gradients: list[Variable] = []
        self._undecayed: set[Variable] = set()
        self._undecayed_names: str | None = None
        # While gradients accumulate: a bool tensor, True when this step updates.
        self._updates: Tensor | None = None
        self._iterations = self._own(np.int64(0), "int64", "iteration")
        self._learning_rate: Any = learning_rate
        if not callable(learning_rate):
            dtype = _config.floatx()
            self._learning_rate = self._own(learning_rate, dtype, "learning_rate")

    def _check_options(self) -> None:
        name = type(self).__name__
        clips = (self.clipnorm, self.clipvalue, self.global_clipnorm)
        if sum(clip is not None for clip in clips) > 1:
            raise ValueError(
                f"[{name}] give one of clipnorm, clipvalue and global_clipnorm, got "
                f"clipnorm={clips[0]}, clipvalue={clips[1]}, "
                f"global_clipnorm={clips[2]}."
            )
        steps = self.gradient_accumulation_steps
        if steps is not None and not steps >= 2:
            raise ValueError(
                f"[{name}] gradient_accumulation_steps must be >= 2, got {steps!r}."
            )
        if self.use_ema and not 0.0 <= self.ema_momentum <= 1.0:
            raise ValueError(
                f"[{name}] ema_momentum must be in [0, 1], got {self.ema_momentum!r}."
            )
        frequency = self.ema_overwrite_frequency
        if self.use_ema and frequency is not None and not frequency >= 1:
            raise ValueError(
                f"[{name}] ema_overwrite_frequency must be >= 1, got {frequency!r}."
            )

    @staticmethod
    def _epsilon_or_default(epsilon: float | None) -> float:
        return _config.epsilon() if epsilon is None else epsilon

    # -- state -----------------------------------------------------------------------

    def _own(self, value: Any, dtype: str | None, name: str | None) -> Variable:
        variable = Variable(value, None, dtype, trainable=False, name=name)
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    @property
    def variables(self) -> list[Variable]:
        """iteration, learning_rate (unless it is a schedule), then the slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Tensor:
        """Updates made so far; steps divided by their number while accumulating."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The variable that holds the rate, or the rate of the next update."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            return rate
        from fastnn.optimizers.schedules import LearningRateSchedule

        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate()

    @learning_rate.setter
    def learning_rate(self, value: LearningRate) -> None:
        current = self._learning_rate
        if callable(value):
            self._variables = [v for v in self._variables if v is not current]
            self._learning_rate = value
        elif isinstance(current, Variable):
            current.assign(_number(self.name, value))
        else:
            raise TypeError(
                f"[{self.name}] the learning rate follows {type(current).__name__} and "
                "cannot be set to a number: make the optimizer with a number instead."
            )

    @property
    def lr(self) -> Any:
        """Old spelling of `learning_rate`."""
        warn_renamed("lr", "learning_rate")
        return self.learning_rate

    @lr.setter
    def lr(self, value: LearningRate) -> None:
        warn_renamed("lr", "learning_rate")
        self.learning_rate = value

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots of these variables; subclasses call it before their own."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        self._indices = {variable: i for i, variable in enumerate(variables)}
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self.add_optimizer_variables(
                variables, "gradient_accumulator"
            )
        self._trainable_variables = list(variables)
        self._note_slots()
        self.built = True

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        name: str | None = None,
    ) -> Variable:
        """Makes a variable that belongs to the optimizer."""
        values = initializers.get(initializer)(tuple(shape), dtype=dtype)
        return self._own(values, dtype, name)

    def add_variable_from_reference(
        self,
        reference_variable: Variable,
        name: str | None = None,
        initializer: Any = "zeros",
    ) -> Variable:
        """Makes a slot with the shape and dtype of a variable."""
        prefix = reference_variable.path.replace("/", "_")
        return self.add_variable(
            reference_variable.shape,
            initializer,
            reference_variable.dtype,
            f"{prefix}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self,
        trainable_variables: Sequence[Variable],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """Makes one slot per variable, or several.

        Args:
            trainable_variables: variables to be updated.
            name: name of the slot, or a list of names.
            initializer: one for all names, or a list of as many.

        Returns:
            A list of slots, or one list for each name.
        """
        names = [name] if isinstance(name, str) else list(name)
        several = isinstance(initializer, (list, tuple))
        fillers = list(initializer) if several else [initializer] * len(names)
        slots: tuple[list[Variable], ...] = tuple([] for _ in names)
        for variable in trainable_variables:  # slots of a variable are neighbours
            for slot, own, filler in zip(slots, names, fillers, strict=True):
                slot.append(self.add_variable_from_reference(variable, own, filler))
        return slots[0] if isinstance(name, str) else slots

    def _get_variable_index(self, variable: Variable) -> int:
        return self._indices[variable]

    # -- one step --------------------------------------------------------------------

    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable and its slots through `assign`."""
        raise NotImplementedError(f"[{type(self).__name__}] must define update_step.")

    def _before_updates(self) -> None:
        """What a step does once, before the first `update_step`."""

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, Variable]]
    ) -> Variable:
        """`apply` of (gradient, variable) pairs; returns the step counter."""
        self.apply(*unzipped(self.name, grads_and_vars))
        return self._iterations

    def apply(
        self,
        grads: Sequence[Any],
        trainable_variables: Sequence[Variable] | None = None,
    ) -> None:
        """Makes one step.

        Args:
            grads: gradients; None leaves its variable alone, with a warning.
            trainable_variables: their variables, default those of `build`.

        Raises:
            ValueError: for variables the optimizer was not built with, and when no
                gradient is given.
        """
        if not grads:
            return
        variables = self._known(grads, trainable_variables)
        grads, variables = drop_missing(grads, variables)
        if self.loss_scale_factor:
            grads = [g * (1.0 / self.loss_scale_factor) for g in grads]
        if self.gradient_accumulation_steps:
            grads = self._accumulate(grads, variables)
        try:
            grads = clip_gradients(
                grads, self.clipnorm, self.global_clipnorm, self.clipvalue
            )
            rate = self.learning_rate
            self._before_updates()
            self._decay_weights(variables, rate)
            for grad, variable in zip(grads, variables, strict=True):
                self.update_step(grad, variable, rate)
        finally:
            self._updates = None
        if self.use_ema:
            self._move_averages()
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        self._iterations.assign_add(1)

    def _known(
        self, grads: Sequence[Any], variables: Sequence[Variable] | None
    ) -> list[Variable]:
        if variables is None:
            if not self.built:
                raise ValueError(
                    f"[{self.name}] apply(grads) needs build(variables) first, or "
                    "apply(grads, variables)."
                )
            variables = self._trainable_variables
        if not self.built:
            self.build(list(variables))
        if len(variables) != len(grads):
            raise ValueError(
                f"[{self.name}] received {len(grads)} gradients for {len(variables)} "
                "variables."
            )
        for variable in variables:
            if variable not in self._indices:
                raise ValueError(
                    f"[{self.name}] does not know variable {variable.path}: it was "
                    f"built with {[v.path for v in self._trainable_variables]}. An "
                    "optimizer belongs to one model: compile the model with a new one, "
                    "again after a change of `trainable`; or build with all variables."
                )
        return list(variables)

    def _accumulate(
        self, grads: list[Tensor], variables: list[Variable]
    ) -> list[Tensor]:
        """Adds up the gradients; the mean counts when `_updates` is true."""
        steps = self.gradient_accumulation_steps or 1
        self._updates = ops.equal((self._iterations.value + 1) % steps, 0)
        means = []
        for grad, variable in zip(grads, variables, strict=True):
            accumulator = self._accumulated_gradients[
                self._get_variable_index(variable)
            ]
            # Gradients of a mixed policy may come in the dtype of the computation.
            total = accumulator.value + ops.cast(grad, variable.dtype)
            accumulator.assign(ops.where(self._updates, 0.0, total))
            means.append(total * (1.0 / steps))
        return means

    def _move_averages(self) -> None:
        started = ops.not_equal(self.iterations, 0)
        replace = None
        if self.ema_overwrite_frequency:
            position = (self.iterations + 1) % self.ema_overwrite_frequency
            replace = ops.equal(position, 0)
        for variable, average in zip(
            self._trainable_variables, self._averages, strict=True
        ):
            momentum = ops.cast(started, variable.dtype) * self.ema_momentum
            moved = average.value * momentum + variable.value * (1.0 - momentum)
            average.assign(moved)
            if replace is not None:
                variable.assign(ops.where(replace, moved, variable.value))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Replaces the weights by their averages at the end of training (`use_ema`)."""
        if self.use_ema:
            for variable in var_list:
                average = self._averages[self._get_variable_index(variable)]
                variable.assign(average.value)

    def scale_loss(self, loss: Any) -> Any:
        """`loss * loss_scale_factor`."""
        factor = self.loss_scale_factor
        return loss if factor is None else loss * factor

    # -- saving ----------------------------------------------------------------------

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns all variables, in the order of `variables`."""
        if len(weights) != len(self.variables):
            raise ValueError(
                f"[{self.name}] has {len(self.variables)} variables "
                f"(built: {self.built}), received {len(weights)} arrays."
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)
        self._after_loading()

    def saved_values(self) -> list[tuple[str, Any]]:
        """(path, variable or array), as Keras keeps them: it counts in int32."""
        values: list[tuple[str, Any]] = [(v.path, v) for v in self.variables]
        if values and int(values[0][1]) < 2**31:
            values[0] = values[0][0], values[0][1].numpy().astype("int32")
        return values

    def _after_loading(self) -> None:
        """What follows from the variables but is none of them."""

    def save_own_variables(self, store: Any) -> None:
        """Writes the variables to a mapping, keyed `"0"`, `"1"`, ..."""
        for i, (_, value) in enumerate(self.saved_values()):
            store[str(i)] = value

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        An optimizer that was saved before its first step has no slots: only the step
        and the rate are read then. Other numbers of variables are skipped with a
        warning, as in Keras, save those of Keras 2.
        """
        count, has_rate = len(store.keys()), isinstance(self._learning_rate, Variable)
        trained = len(self._trainable_variables)
        variables = stored_variables(self.variables, count, has_rate, trained)
        if variables is None:
            warn_user(
                f"[load] the state of optimizer '{self.name}' is not loaded: it has "
                f"{len(self.variables)} variables, the file has {count}."
            )
            return
        for i, variable in enumerate(variables):
            variable._load(store, str(i))
        self._after_loading()

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object; the rate is the current one."""
        rate = self._learning_rate
        if isinstance(rate, Variable):
            rate = float(rate.numpy())
        return {
            "name": self.name,
            "learning_rate": serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Optimizer:
        """Rebuilds the object from `get_config()`."""
        if "learning_rate" in config:  # without, the default of the class, as in Keras
            rate = deserialize_keras_object(config["learning_rate"], custom_objects)
            config = {**config, "learning_rate": rate}
        return cls(**config)


def _old_spellings(
    name: str, learning_rate: LearningRate, kwargs: dict[str, Any]
) -> LearningRate:
    """Learning rate after `lr=` and `decay=` of Keras 2; other kwargs are errors."""
    if "lr" in kwargs:
        warn_renamed("lr", "learning_rate")
        learning_rate = kwargs.pop("lr")
    decay = kwargs.pop("decay", None)
    if decay is not None:
        warn_renamed(
            f"decay={decay}",
            f"learning_rate=schedules.InverseTimeDecay(learning_rate, 1, {decay})",
        )
    if kwargs:
        raise ValueError(f"[{name}] unknown arguments {sorted(kwargs)}.")
    if not callable(learning_rate):
        learning_rate = _number(name, learning_rate)
        if decay:
            from fastnn.optimizers.schedules import InverseTimeDecay

            return InverseTimeDecay(learning_rate, 1, decay)
    return learning_rate


def _number(name: str, learning_rate: Any) -> float:
    try:
        return float(learning_rate)
    except (TypeError, ValueError):
        raise TypeError(
            f"[{name}] learning_rate must be a number, a schedule or a function, "
            f"received {learning_rate!r}."
        ) from None
