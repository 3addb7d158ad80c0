"""Write a network as ONNX files of standard operators, and check them against torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from loftr_ros.matcher import Matcher
from loftr_ros.network.parts import loftr_parts
from perception_common.atomic_file import make_folder
from perception_common.backends.devices import choose_device
from perception_common.backends.onnx_export import MANIFEST, OPSET, Identity, export_parts, part_files
from perception_common.backends.runtime import Part
from perception_common.config import to_mapping
from perception_common.errors import InputError
from perception_common.resources import list_models
from perception_common.text.markdown import markdown_table
from yolc_ros.detector import Detector
from yolc_ros.network.parts import yolc_parts

NAME = "export"


def build_parser(prog: str = NAME) -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=f"{__doc__}\n\nEach part of the network becomes one file for images of any size: encode, transform "
        f"and fine of LoFTR, maps of YOLC.\nThe files have opset {OPSET}; {MANIFEST} beside them names weights, "
        "configuration, versions and the\nlargest differences from torch.",
        epilog=f"""\
example:
  {prog} loftr_lite --output loftr_lite_onnx
  {prog} yolc_w48 --weights yolc.pth --output yolc_w48_onnx
""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a network of config/models, such as loftr_lite")
    parser.add_argument(
        "--weights",
        default="default",
        metavar="FILE",
        help="a weights file, or none: random (default: the shipped ones)",
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the files; made if missing"
    )
    return parser


def main(arguments: list[str] | None = None, prog: str = NAME) -> int:
    """Run the command. Raises InputError for a network that cannot be exported or differs from torch."""
    given = build_parser(prog).parse_args(arguments)
    parts, identity = _load(given.model, given.weights)
    make_folder(given.output)
    checks = export_parts(parts, given.output, identity, report=lambda line: print(line, flush=True))
    rows = [(c.part, c.output, f"{c.difference:.2e}", f"{c.relative:.2e}", f"{c.limit:g}") for c in checks]
    print("\nlargest differences from torch; relative: to the largest value of the output")
    print("\n".join(markdown_table([("part", "output", "absolute", "relative", "limit"), *rows])))
    files = [*part_files(parts, given.output).values(), given.output / MANIFEST]
    print("\n" + "\n".join(f"{path}  {path.stat().st_size / 2**20:.1f} MiB" for path in files))
    return 0


def _load(model: str, weights: str) -> tuple[Sequence[Part], Identity]:
    """Load a network for inference in fp32 on the CPU. Raises InputError."""
    if model.startswith("loftr_"):
        matcher = Matcher.load(model, weights, choose_device("cpu"))
        identity = Identity(model, matcher.weights_sha256, to_mapping(matcher.network.config))
        return loftr_parts(matcher.network), identity
    if model.startswith("yolc_"):
        detector = Detector.load(model, weights, choose_device("cpu"))
        identity = Identity(model, detector.weights_sha256, to_mapping(detector.network.config))
        return yolc_parts(detector.network), identity
    known = [f"{kind}{name}" for kind in ("loftr_", "yolc_") for name in list_models(kind)]
    raise InputError(f"there is no network {model!r}; use one of {', '.join(known)}")
