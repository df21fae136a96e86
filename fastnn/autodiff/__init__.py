# SPDX-License-Identifier: Apache-2.0
"""Tensors, variables and reverse-mode differentiation. README.md tells how."""
