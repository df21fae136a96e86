# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.optimizers import *  # noqa: F403
from fastnn.optimizers import legacy as legacy
from fastnn.optimizers import schedules as schedules
