# SPDX-License-Identifier: Apache-2.0
"""Models: layers that can be compiled, trained, evaluated and asked."""

from fastnn.models.cloning import clone_model
from fastnn.models.model import Model
from fastnn.models.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model"]
