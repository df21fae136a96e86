# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.utils import *  # noqa: F403
from fastnn.utils import bounding_boxes as bounding_boxes
from fastnn.utils import legacy as legacy
