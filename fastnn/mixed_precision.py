# SPDX-License-Identifier: Apache-2.0
"""Keras's older names for policies of mixed precision, and for loss scaling."""

from __future__ import annotations

from fastnn.config import dtype_policy as dtype_policy
from fastnn.config import set_dtype_policy as set_dtype_policy
from fastnn.dtype_policies import DTypePolicy as DTypePolicy
from fastnn.dtype_policies import Policy as Policy
from fastnn.optimizers import LossScaleOptimizer as LossScaleOptimizer

global_policy = dtype_policy
set_global_policy = set_dtype_policy
