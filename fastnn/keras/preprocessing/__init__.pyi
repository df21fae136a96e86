# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.preprocessing import *  # noqa: F403
from fastnn.preprocessing import image as image
from fastnn.preprocessing import sequence as sequence
