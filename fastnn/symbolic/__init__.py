# SPDX-License-Identifier: Apache-2.0
"""Tensors without values, and what layers and ops record when called on them."""
