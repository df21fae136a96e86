# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.ops import *  # noqa: F403
from fastnn.ops import image as image
from fastnn.ops import linalg as linalg
from fastnn.ops import nn as nn
from fastnn.ops import numpy as numpy
