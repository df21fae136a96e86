# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.models.cloning import clone_model as clone_model
from fastnn.models.files import load_model as load_model
from fastnn.models.files import model_from_json as model_from_json
from fastnn.models.files import save_model as save_model
from fastnn.models.model import Model as Model
from fastnn.models.sequential import Sequential as Sequential

__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
