# SPDX-License-Identifier: Apache-2.0
"""Adam with Nesterov momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Variable
from fastnn.optimizers._updates import fuses_decay
from fastnn.optimizers.optimizer import LearningRate, Optimizer
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor


@export("keras.optimizers")
class Nadam(Optimizer):
    """Adam that looks one step ahead (Dozat, 2016).

    The momentum of update `t` is `u_t = beta_1 * (1 - 0.96**t / 2)`; with `p_t` their
    product so far, `m` and `v` as in Adam, `w -= learning_rate * (u_{t+1} * m / (1 -
    p_{t+1}) + (1 - u_t) * g / (1 - p_t)) / (sqrt(v / (1 - beta_2**t)) + epsilon)`.

    Args:
        learning_rate: number, schedule or function.
        beta_1: momentum of the gradients.
        beta_2: momentum of their squares.
        epsilon: keeps the quotient finite; None is `config.epsilon()`.
        weight_decay, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum,
            ema_overwrite_frequency, loss_scale_factor, gradient_accumulation_steps,
            name, **kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
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
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = self._epsilon_or_default(epsilon)
        self._momentums: list[Variable] = []
        self._velocities: list[Variable] = []
        # Not among `variables`: it follows from the iterations. Files have it, in
        # float32 as Keras does.
        one, name = np.float64(1.0), "momentum_product"
        self._product = Variable(one, None, "float64", trainable=False, name=name)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots of each variable."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def _before_updates(self) -> None:
        # float64, as in the kernel: 1 - p cancels when beta_1 is near 1.
        t = ops.cast(self.iterations + 1, "float64")
        momentum = self.beta_1 * (1.0 - 0.5 * ops.power(0.96, t))
        self.assign(self._product, self._product.value * momentum)

    def _after_loading(self) -> None:
        t = np.arange(1, int(np.asarray(self.iterations)) + 1)
        self._product.assign(np.prod(self.beta_1 * (1.0 - 0.5 * 0.96**t)))

    def saved_values(self) -> list[tuple[str, Any]]:
        """With the product of momenta at the end, as Keras writes it."""
        values = super().saved_values()
        if self.built:
            product = self._product.numpy().astype("float32")
            values.append((f"{self.name}/u_product", product))
        return values

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        count = len(self._variables)
        if self.built and len(store.keys()) == count + 1:
            # The product of momenta is the last one; in Keras 3.0 the third.
            first = np.ndim(store["2"]) == 0 and self._variables[2].shape != ()
            places = [i + 1 if first and i > 1 else i for i in range(count)]
            store = {str(i): store[str(place)] for i, place in enumerate(places)}
        super().load_own_variables(store)

    @fuses_decay
    def update_step(
        self, gradient: Tensor, variable: Variable, learning_rate: Tensor
    ) -> None:
        """Updates one variable, in one kernel."""
        index = self._get_variable_index(variable)
        self._apply_op(
            raw.nadam,
            gradient,
            variable,
            [self._momentums[index], self._velocities[index]],
            learning_rate,
            self.iterations + 1,
            self._product.value,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
