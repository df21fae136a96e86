# SPDX-License-Identifier: Apache-2.0
"""The two ways in which getting data fails."""

from __future__ import annotations

from fastnn.errors import FastnnError


class DownloadError(FastnnError, OSError):
    """A file is neither in the cache nor could it be fetched and verified."""


class DataFileError(FastnnError, ValueError):
    """A data file is damaged, or is not what its name or place says."""
