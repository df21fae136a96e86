# SPDX-License-Identifier: Apache-2.0
"""Traced programs: graph, passes, plan."""
