# SPDX-License-Identifier: Apache-2.0
"""`tf.math`: the same functions under their other address."""

from __future__ import annotations

from fastnn.structures.functions import add_n as add_n
from fastnn.structures.functions import argmax as argmax
from fastnn.structures.functions import argmin as argmin
from fastnn.structures.functions import cumsum as cumsum
from fastnn.structures.networks import l2_normalize as l2_normalize
from fastnn.structures.strict import matmul as matmul


def __getattr__(name: str) -> object:
    from fastnn import ops
    from fastnn.structures._names import FUNCTIONS
    from fastnn.structures.strict import function

    if name == "log":  # there is no tf.log
        return ops.log
    if name in FUNCTIONS:
        return function(name)
    raise AttributeError(f"module 'fastnn.tf.math' has no attribute {name!r}")
