"""Node parameters declared as frozen dataclasses: type, default, range and description in one place. Needs no ROS.

    @dataclass(frozen=True)
    class Parameters:
        score_threshold: float = parameter(0.3, "lowest score that is published", low=0.0, high=1.0, live=True)

The dataclass may check several fields against each other in `__post_init__` (raising InputError).
`ros_parameters.NodeParameters` declares such a class on a node, `parameter_file.read_parameters` reads it from a file.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perception_common.errors import InputError
from perception_common.images.intensity import INTENSITIES


@dataclass(frozen=True)
class ParameterInfo:
    """What is declared about one parameter.

    pattern: regular expression of the whole text, which the description puts in words. live: it may change while the
    node is configured.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    live: bool = False


def parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    live: bool = False,
) -> Any:
    """Return a dataclass field that declares a ROS parameter; a range needs both `low` and `high` (inclusive)."""
    return dataclasses.field(
        default=default, metadata={"parameter": ParameterInfo(description, low, high, choices, pattern, live)}
    )


def parameter_infos(kind: type) -> dict[str, ParameterInfo]:
    """Return what the fields of a parameter dataclass declare, by name."""
    return {field.name: field.metadata["parameter"] for field in dataclasses.fields(kind)}


def check_parameters(infos: Mapping[str, ParameterInfo], values: Mapping[str, Any]) -> None:
    """Raise InputError for the first value that does not fit its choices, its range or its pattern."""
    for name, value in values.items():
        info = infos[name]
        if info.choices and value not in info.choices:
            raise InputError(f"parameter {name!r} is {value!r}: choose one of {', '.join(info.choices)}")
        if info.pattern and not re.fullmatch(info.pattern, value):
            raise InputError(f"parameter {name!r} is {value!r}: use {info.description}")
        if info.low is not None and info.high is not None and not info.low <= value <= info.high:
            raise InputError(f"parameter {name!r} is {value!r}: the range is {info.low:g} to {info.high:g}")


@dataclass(frozen=True)
class PerceptionParameters:
    """The parameters that both perception nodes have."""

    model: str = parameter("", "network variant: a file in config/models")
    weights: str = parameter(
        "default", "weights file (.safetensors, .ckpt, .pth), 'default': the shipped ones, 'none': random ones"
    )
    weights_sha256: str = parameter("", "refuse a weights file with another SHA-256; empty: do not check")
    device: str = parameter("auto", "auto, cpu, cuda or cuda:N", pattern=r"auto|cpu|cuda(:\d+)?")
    precision: str = parameter("fp32", "arithmetic of the network", choices=("fp32", "fp16", "bf16"))
    num_threads: int = parameter(
        0, "CPU threads of the network; 0: the cores shared out among the nodes", low=0, high=256
    )
    processing_mode: str = parameter(
        "latest", "latest: the newest image, older ones are dropped; every: all, in order", choices=("latest", "every")
    )
    queue_size: int = parameter(100, "images that may wait in processing_mode 'every'", low=1, high=10000)
    image_transport: str = parameter(
        "raw", "raw: topic 'image'; compressed: topic 'image/compressed'", choices=("raw", "compressed")
    )
    intensity: str = parameter(
        INTENSITIES[0],
        "how images of more than 8 bits become 8: percentile: the range of values that they hold, smoothed over 1 s; "
        "full: the high byte; clahe: percentile, and local contrast",
        choices=INTENSITIES,
    )
    input_timeout: float = parameter(5.0, "seconds without an image before a warning", low=0.1, high=3600.0, live=True)
    autostart: bool = parameter(True, "configure and activate at start, without a lifecycle manager")
