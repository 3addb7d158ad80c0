"""Node parameters declared as frozen dataclasses: type, default, range and description in one place. Needs no ROS.

    @dataclass(frozen=True)
    class Parameters:
        score_threshold: float = parameter(0.3, "lowest score that is published", low=0.0, high=1.0, live=True)

The dataclass may check several fields against each other in `__post_init__` (raising InputError).
`ros_parameters.NodeParameters` declares such a class on a node, `parameter_file.read_parameters` reads it from a file.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perception_common.backends.devices import BACKENDS, PRECISIONS
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


def convert_parameter(name: str, value: Any, default: Any, info: ParameterInfo) -> Any:
    """Return a value of a file or command line with the type of the default; a whole number may stand for a float.

    Raises InputError, with what to write, for a value of another type.
    """
    kind = type(default)
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    problem = f"parameter {name!r} is {value!r}, not a {kind.__name__}"
    if kind is str and isinstance(value, bool):
        choices = f"; choose one of {', '.join(info.choices)}" if info.choices else ""
        raise InputError(
            f"{problem}: YAML reads on, off, yes and no as true or false, write the word in quotes{choices}"
        )
    if kind is str and info.choices:
        raise InputError(f"{problem}: choose one of {', '.join(info.choices)}")
    if kind is str:
        raise InputError(f"{problem}: write '{value}' in quotes")
    if isinstance(value, str) and _is_number(value):
        raise InputError(f"{problem}: write it without quotes")
    raise InputError(f"{problem}: the default is {default!r}")


def unknown_parameter(name: str, known: Sequence[str]) -> str:
    """Return the words on a parameter that a node does not have, and what may be meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see `ros2 param list`"
    return f"unknown parameter {name!r} is ignored: {hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_parameters(infos: Mapping[str, ParameterInfo], values: Mapping[str, Any]) -> None:
    """Raise InputError for the first value that is not finite or does not fit its choices, its range or its pattern."""
    for name, value in values.items():
        info = infos[name]
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"parameter {name!r} is {value!r}: a finite number is expected")
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
    precision: str = parameter(
        "auto",
        "arithmetic of the network; auto: fp16 on CUDA, bf16 on a CPU that computes it natively, else fp32",
        choices=PRECISIONS,
    )
    backend: str = parameter(
        "torch", "what computes the network; onnxruntime: the optional package, see the how-to", choices=BACKENDS
    )
    providers: str = parameter(
        "cpu",
        "of onnxruntime, preferred first, separated by commas: cpu, cuda, tensorrt, openvino",
        pattern=r"(cpu|cuda|tensorrt|openvino)(, ?(cpu|cuda|tensorrt|openvino))*",
    )
    cuda_graphs: bool = parameter(
        True, "on CUDA with backend torch: record the network once for each image size, and replay it"
    )
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
    input_timeout: float = parameter(
        5.0,
        "seconds without an image before a warning, of simulated time with use_sim_time",
        low=0.1,
        high=3600.0,
        live=True,
    )
    autostart: bool = parameter(True, "configure and activate at start, without a lifecycle manager")
