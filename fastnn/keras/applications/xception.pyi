# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.applications.xception import *  # noqa: F403
