"""The options of the evaluations that say where and how the network is computed."""

from __future__ import annotations

import argparse

from perception_common.backends.devices import BACKENDS, PRECISIONS, RuntimeChoice

_DEFAULT = RuntimeChoice()


def add_device_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add --device, --precision, --backend and --providers."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument(
        "--precision",
        default=_DEFAULT.precision,
        choices=PRECISIONS,
        help=f"arithmetic of the network (default: {_DEFAULT.precision})",
    )
    parser.add_argument(
        "--backend",
        default=_DEFAULT.backend,
        choices=BACKENDS,
        help=f"what computes the network (default: {_DEFAULT.backend})",
    )
    parser.add_argument(
        "--providers",
        default=_DEFAULT.providers,
        metavar="a,b",
        help=f"of onnxruntime, preferred first: cpu, cuda, tensorrt, openvino (default: {_DEFAULT.providers})",
    )


def runtime_choice(given: argparse.Namespace) -> RuntimeChoice:
    """Return what these options say, without the device."""
    return RuntimeChoice(given.precision, given.backend, given.providers)
