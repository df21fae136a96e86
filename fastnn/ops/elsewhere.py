# SPDX-License-Identifier: Apache-2.0
"""Names of Keras's `keras.ops` that autodiff defines."""

from fastnn.autodiff.forward import jvp
from fastnn.autodiff.grad import custom_gradient, stop_gradient

__all__ = ["custom_gradient", "jvp", "stop_gradient"]
