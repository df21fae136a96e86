# SPDX-License-Identifier: Apache-2.0
"""CSV files with a header line, plain or gzip, as named NumPy columns."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets._errors import DataFileError

_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "None", "?"})


def read_csv(path: str | Path) -> dict[str, NDArray[np.generic]]:
    """Columns of a comma-separated file, in the order of its header line.

    Args:
        path: UTF-8 text, optionally gzip (told by its first bytes).

    Returns:
        One array of shape `(rows,)` per column: float64 with NaN for missing values
        (empty, `NA`, `N/A`, `NaN`, `null`, `None`, `?`) where every value is a number,
        else strings (`<U`), missing ones empty.

    Raises:
        DataFileError: no header, repeated names, or a row of another length.
    """
    path = Path(path)
    rows = csv.reader(io.StringIO(_read_text(path), newline=""))
    table = []
    try:
        header = [name.strip() for name in next(rows, [])]
        _check_header(path, header)
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise DataFileError(
                    f"[read_csv] {path} line {rows.line_num}: {len(row)} values, "
                    f"but the header names {len(header)} columns."
                )
            table.append(row)
    except csv.Error as error:
        raise DataFileError(
            f"[read_csv] {path} line {rows.line_num}: {error}"
        ) from error
    columns = zip(*table, strict=True) if table else ((),) * len(header)
    return {name: _column(cells) for name, cells in zip(header, columns, strict=True)}


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataFileError(
            f"[read_csv] {path} is a damaged gzip file: {error}. Get it again."
        ) from error
    except UnicodeDecodeError as error:
        raise DataFileError(f"[read_csv] {path} is not UTF-8 text: {error}") from error


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise DataFileError(f"[read_csv] {path} is empty; expected a header line.")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataFileError(f"[read_csv] {path} names columns twice: {repeated}")


def _column(cells: tuple[str, ...]) -> NDArray[np.generic]:
    values = ["" if cell.strip() in _MISSING else cell.strip() for cell in cells]
    try:
        return np.array([value or "nan" for value in values], dtype=np.float64)
    except ValueError:
        return np.array(values, dtype=np.str_)
