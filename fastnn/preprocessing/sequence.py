# SPDX-License-Identifier: Apache-2.0
"""Sequences of different lengths: see fastnn.utils."""

from __future__ import annotations

from fastnn.utils.arrays import pad_sequences as pad_sequences
