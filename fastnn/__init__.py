# SPDX-License-Identifier: Apache-2.0
"""fastnn."""

__version__ = "0.1.0"
