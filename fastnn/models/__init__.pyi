# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.models.cloning import clone_model as clone_model
from fastnn.models.model import Model as Model
from fastnn.models.sequential import Sequential as Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
]
