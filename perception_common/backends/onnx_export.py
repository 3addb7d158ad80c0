"""Writes the parts of a network as ONNX files of standard operators, with a description of them beside."""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from perception_common.backends.onnx_packages import import_onnx
from perception_common.backends.onnx_runtime import OnnxRuntime
from perception_common.backends.parity import OutputCheck, check_parity
from perception_common.backends.runtime import Part, TorchRuntime
from perception_common.errors import InputError
from perception_common.text.json_files import write_json
from perception_common.weights import file_sha256

OPSET = 18  # of ONNX's standard operators; the lowest that torch writes without a conversion, and TensorRT 10 reads it
MANIFEST = "manifest.json"
CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})  # runtimes compile these badly or not at all
_EXAMPLE_SIZE = 96, 160  # (height, width), pixels, of the images that are traced
_QUIET = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")  # they log each step

Report = Callable[[str], None]
"""Takes a line on the progress."""


@dataclass(frozen=True)
class Identity:
    """What the exported files come from, for the description beside them.

    model: name of the network. weights_sha256: of the file; empty for random weights. configuration: of the network,
    plain values. precision: "fp32".
    """

    model: str
    weights_sha256: str
    configuration: Any
    precision: str = "fp32"


def export_parts(
    parts: Sequence[Part], folder: Path, identity: Identity, report: Report = lambda text: None
) -> tuple[OutputCheck, ...]:
    """Write PART.onnx for each part and manifest.json into a folder that exists; return the checks against torch.

    Raises InputError when a package is missing, when a part does not become standard operators, or when ONNX Runtime
    computes something else than torch.
    """
    start = time.monotonic()
    for number, part in enumerate(parts, start=1):
        spent = f", {time.monotonic() - start:.0f} s so far" if number > 1 else ""
        report(f"exporting {identity.model} to ONNX: part {number} of {len(parts)} ({part.name}){spent}")
        _export(part, folder / f"{part.name}.onnx")
    report(f"comparing {identity.model} in ONNX Runtime with torch, {time.monotonic() - start:.0f} s so far")
    files = part_files(parts, folder)
    checks = check_parity(parts, TorchRuntime(parts), OnnxRuntime(files))
    write_json(folder / MANIFEST, _manifest(parts, files, identity, checks))
    return checks


def part_files(parts: Sequence[Part], folder: Path) -> dict[str, Path]:
    """Return the file of each part."""
    return {part.name: folder / f"{part.name}.onnx" for part in parts}


def check_operators(path: Path) -> None:
    """Raise InputError when an ONNX file has operators outside of the standard set, functions or control flow."""
    model = import_onnx("onnx").load(path, load_external_data=False)
    custom = {f"{node.domain}::{node.op_type}" for node in model.graph.node if node.domain not in ("", "ai.onnx")}
    custom |= {node.op_type for node in model.graph.node if node.op_type in CONTROL_FLOW}
    custom |= {f"function {each.name}" for each in model.functions}
    if custom:
        raise InputError(f"{path}: {', '.join(sorted(custom))} is not in the standard set; no other runtime reads it")


def _export(part: Part, path: Path) -> None:
    import_onnx("onnx")
    import_onnx("onnxscript")
    inputs = part.example(_EXAMPLE_SIZE, 0)
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(part.module, inputs, dynamic_shapes=(part.sizes,), strict=False)
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(part.inputs),
                output_names=list(part.outputs),
                verbose=False,
            )
            assert exported is not None  # it is None without dynamo only
            exported.save(path)
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"torch cannot export {part.name} to ONNX ({reason})") from error
    check_operators(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from printing its steps and warnings about its own inside."""
    loggers = [logging.getLogger(name) for name in _QUIET]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _manifest(
    parts: Sequence[Part], files: dict[str, Path], identity: Identity, checks: Sequence[OutputCheck]
) -> dict[str, Any]:
    return asdict(identity) | {
        "opset": OPSET,
        "versions": {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")},
        "parts": {
            part.name: {
                "file": files[part.name].name,
                "sha256": file_sha256(files[part.name]),
                "inputs": list(part.inputs),
                "outputs": list(part.outputs),
            }
            for part in parts
        },
        "largest_differences": {
            f"{check.part}.{check.output}": {
                "value": check.difference,
                "relative": check.relative,
                "limit": check.limit,
            }
            for check in checks
        },
    }
