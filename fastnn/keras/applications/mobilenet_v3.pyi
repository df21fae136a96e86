# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.applications.mobilenet_v3 import *  # noqa: F403
