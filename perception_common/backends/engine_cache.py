"""Exported networks that nodes keep between starts, in folders named after the hash of what they were made from."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from perception_common.atomic_file import make_folder, write_error
from perception_common.backends.devices import DevicePolicy
from perception_common.backends.onnx_export import MANIFEST, OPSET, Identity, Report, export_parts, part_files
from perception_common.backends.onnx_runtime import OnnxRuntime
from perception_common.backends.runtime import Part
from perception_common.text.json_files import read_json
from perception_common.weights import file_sha256

KEPT = 8  # engines; a node uses one, so this is for several models, precisions and versions
_UNFINISHED = ".unfinished_"
_ABANDONED_SECONDS = 3600.0  # an export takes a minute; older unfinished folders are of processes that died


def open_runtime(parts: Sequence[Part], network: nn.Module, identity: Identity, policy: DevicePolicy) -> OnnxRuntime:
    """Return the parts in ONNX Runtime with the providers of a policy; see `find_engine`."""
    engine = find_engine(parts, network, identity, policy.report)
    if (first := policy.providers[0]) != "cpu":
        policy.report(f"{first} compiles {identity.model}: seconds, with tensorrt minutes the first time")
    return OnnxRuntime(part_files(parts, engine), policy.providers, cache=engine)


def cache_folder() -> Path:
    """Return the folder of the engines: yolc_ros/engines in $ROS_HOME, which is ~/.ros by default."""
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "yolc_ros" / "engines"


def find_engine(
    parts: Sequence[Part], network: nn.Module, identity: Identity, report: Report, folder: Path | None = None
) -> Path:
    """Return the folder with the exported parts of a network; export them where they are missing or damaged.

    folder: of all engines; None: `cache_folder()`. It keeps the `KEPT` engines that were used last. Raises InputError
    like `export_parts`, and where the folder cannot be written.
    """
    folder = cache_folder() if folder is None else folder
    engine = folder / f"{identity.model}-{engine_key(network, identity)[:16]}"
    if not is_complete(parts, engine):
        make_folder(folder)
        _build(parts, engine, identity, report)
    with suppress(OSError):
        os.utime(engine)
    _remove_old(folder, keep=engine)
    return engine


def engine_key(network: nn.Module, identity: Identity) -> str:
    """Return the hash of all that an engine depends on: weights, configuration, our code, opset and torch."""
    digest = hashlib.sha256()
    facts = [identity.configuration, identity.precision, OPSET, torch.__version__]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy() if tensor.dim() else b"")
        digest.update(b"" if tensor.dim() else str(tensor.item()).encode())
    source = inspect.getsourcefile(type(network))
    for file in sorted(Path(source).parent.rglob("*.py")) if source else []:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_complete(parts: Sequence[Part], engine: Path) -> bool:
    """Whether a folder holds all parts as its manifest describes them."""
    try:
        listed = read_json(engine / MANIFEST)["parts"]
        return all(listed[name]["sha256"] == file_sha256(path) for name, path in part_files(parts, engine).items())
    except Exception:  # a damaged file of any kind is made again
        return False


def _build(parts: Sequence[Part], engine: Path, identity: Identity, report: Report) -> None:
    """Export into a hidden folder that becomes the engine at the end; another process may have been faster."""
    try:
        with tempfile.TemporaryDirectory(
            prefix=_UNFINISHED, dir=engine.parent, ignore_cleanup_errors=True
        ) as temporary:
            unfinished = Path(temporary) / engine.name
            unfinished.mkdir()
            export_parts(parts, unfinished, identity, report)
            if not is_complete(parts, engine):
                shutil.rmtree(engine, ignore_errors=True)
                os.replace(unfinished, engine)
    except OSError as error:
        if not is_complete(parts, engine):
            raise write_error(engine, error) from error


def _remove_old(folder: Path, keep: Path) -> None:
    """Remove all but the last used engines, and what processes left that died."""
    now = time.time()
    with suppress(OSError):
        engines = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime, reverse=True)
        finished = [path for path in engines if not path.name.startswith(_UNFINISHED)]
        abandoned = [
            path
            for path in engines
            if path.name.startswith(_UNFINISHED) and now - path.stat().st_mtime > _ABANDONED_SECONDS
        ]
        for path in (*finished[KEPT:], *abandoned):
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)
