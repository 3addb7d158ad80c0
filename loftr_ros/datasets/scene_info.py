"""Reads numpy archives with pickled arrays without executing code from them."""

from __future__ import annotations

import io
import math
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from perception_common.errors import InputError

MAX_BYTES = 2**30  # of all arrays of a file; the largest scene file of LoFTR's authors has some 100 MB
_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
# On bytes that are no pickle, the unpickler raises more than UnpicklingError.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, zipfile.BadZipFile, pickle.UnpicklingError),
    *(LookupError, AttributeError, TypeError, ArithmeticError, ImportError, RuntimeError, MemoryError, zlib.error),
)
_NAMES = ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer")


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _NAMES:
            return super().find_class(module.replace("numpy.core", "numpy._core") if _is_new() else module, name)
        raise pickle.UnpicklingError(f"it holds a Python object {module}.{name}")


def _is_new() -> bool:
    return hasattr(np, "_core")


def read_scene_info(path: Path) -> dict[str, Any]:
    """Read the arrays of an .npz file; object arrays may only hold lists, tuples, strings and arrays.

    Some scene files of LoFTR's authors are named .npz but are a pickled dict; these are read with the same restriction.
    Raises InputError for a file that is missing, broken or has other content.
    """
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                content = _ArraysOnly(file).load()
            if not isinstance(content, dict):
                raise ValueError("it holds no arrays by name")
            return content
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise ValueError(f"its arrays have more than {MAX_BYTES // 2**20} MiB")
            return {name.removesuffix(".npy"): _read_array(archive.read(name)) for name in archive.namelist()}
    except _UNREADABLE as error:
        raise InputError(f"{path} is not a readable scene file ({error})") from error


def _read_array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"array format {version} is not known")
    shape, _, dtype = read_header[version](stream)
    if dtype.hasobject:
        return _ArraysOnly(stream).load()
    if math.prod(shape) * dtype.itemsize > len(content):  # before numpy takes memory for them
        raise ValueError(f"it claims {math.prod(shape)} values and holds fewer")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
