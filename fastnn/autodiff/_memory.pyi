# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np

class Memory:
    """Holds the memory of an array that an op made."""

def zeros(shape: tuple[int, ...], dtype: Any) -> np.ndarray: ...
