# SPDX-License-Identifier: Apache-2.0
"""The first artificial neurons, as estimators of scikit-learn.

McCulloch and Pitts (1943), Rosenblatt's Perceptron (1957), Widrow and Hoff's ADALINE
(1960), Widrow and Winter's MADALINE (1988). For learning how it began, and for small
linear problems: they are NumPy, one row at a time.
"""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError(
        '[fastnn.classic] needs scikit-learn: pip install "fastnn-dl[sklearn]"'
    ) from None

from fastnn.classic.logic import McCullochPitts as McCullochPitts
from fastnn.classic.logic import logic_net as logic_net
from fastnn.classic.logic import truth_table as truth_table
from fastnn.classic.madaline import Madaline as Madaline
from fastnn.classic.units import Adaline as Adaline
from fastnn.classic.units import Perceptron as Perceptron
from fastnn.classic.units import heaviside as heaviside
from fastnn.classic.units import sgn as sgn

__all__ = [
    "Adaline",
    "Madaline",
    "McCullochPitts",
    "Perceptron",
    "heaviside",
    "logic_net",
    "sgn",
    "truth_table",
]
