# SPDX-License-Identifier: Apache-2.0
"""NumPy's .npz archives, with a word about what is wrong when something is."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets._errors import DataFileError


def read_npz(path: Path, names: tuple[str, ...]) -> list[NDArray[np.generic]]:
    """The named arrays of an .npz file; pickled objects are refused.

    Raises:
        DataFileError: not an archive, a name is missing, or a member is damaged.
    """
    expected = f"an .npz file with {', '.join(names)}"
    if not zipfile.is_zipfile(path):
        raise DataFileError(f"[datasets] {path} is not {expected}.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive]
            if missing:
                raise DataFileError(
                    f"[datasets] {path} lacks {', '.join(missing)}; it has "
                    f"{', '.join(archive.files)}, expected {expected}."
                )
            return [archive[name] for name in names]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(f"[datasets] {path} is not {expected}: {error}") from error
