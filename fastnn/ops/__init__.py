# SPDX-License-Identifier: Apache-2.0
"""Operations with Keras 3's names, signatures and promotion.

Integers and Python numbers promote as `keras.backend.result_type` says. The strict
functions that gradients and layers are made of are `fastnn.autodiff.raw`.
"""

from __future__ import annotations

from fastnn import _lazy
from fastnn.ops import _symbolic

__getattr__, __dir__, __all__ = _lazy.attach(__name__, _symbolic.aware)
