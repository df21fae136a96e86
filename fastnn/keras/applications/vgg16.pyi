# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py; do not edit.
from fastnn.applications.vgg16 import *  # noqa: F403
