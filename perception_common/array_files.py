"""Arrays by name in .npz files of our own, which may be damaged."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from perception_common.errors import InputError, first_line

MAX_BYTES = 2**30  # of all arrays of a file; the largest ones, predictions of a whole dataset, have some 100 MB


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name. Raises InputError for a file that is missing, broken or too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path}: its arrays have more than {MAX_BYTES >> 20} MiB")
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except InputError:
        raise
    except Exception as error:  # a broken archive can make zipfile, zlib and numpy raise anything
        raise InputError(f"{path}: is not a file of arrays or is damaged ({first_line(error)})") from error
