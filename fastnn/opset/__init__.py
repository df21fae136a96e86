# SPDX-License-Identifier: Apache-2.0
"""The vocabulary: one record per op. Pure Python and NumPy, no kernels.

A file of records is loaded when one of them is first asked for.
"""

from fastnn.opset._opdef import OpDef as OpDef
from fastnn.opset._opdef import Spec as Spec
from fastnn.opset._opdef import all_ops as all_ops
from fastnn.opset._opdef import get_op as get_op
