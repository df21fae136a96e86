# SPDX-License-Identifier: Apache-2.0
"""Images in files and as arrays: see fastnn.utils."""

from __future__ import annotations

from fastnn.utils.directory_datasets import smart_resize as smart_resize
from fastnn.utils.images import array_to_img as array_to_img
from fastnn.utils.images import img_to_array as img_to_array
from fastnn.utils.images import load_img as load_img
from fastnn.utils.images import save_img as save_img

__path__: list[
    str
] = []  # a package to the import system, which asks it for ImageData...
