"""Writes docs/parameters.md from the parameter classes of the nodes: python scripts/document_parameters.py.

Needs the ROS messages, as the bridges import them (`source setup.bash`).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from loftr_ros.bridges.rtabmap import RtabmapParameters
from loftr_ros.bridges.swarm_slam import SwarmSlamParameters
from loftr_ros.parameters import LoftrParameters
from perception_common.node.parameters import ParameterInfo, PerceptionParameters
from yolc_ros.parameters import YolcParameters

PAGE = Path(__file__).resolve().parent.parent / "docs" / "parameters.md"
INTRODUCTION = """\
# Parameters

This page is written by `python scripts/document_parameters.py` from the code. Do not edit it.

- *live*: the parameter can be changed while the node runs (`ros2 param set`). The others can only be changed while the
  node is not configured.
- Ranges include both ends. Values outside, unknown choices and contradictory combinations are refused with a reason.
- Parameter files (`--params-file`) are ordinary ROS parameter files, for example
  [`config/perception.yaml`](../config/perception.yaml). The offline replay reads the same files.
- Every subscription and publisher accepts QoS overrides, as
  `qos_overrides./camera/image.subscription.reliability: reliable`. `use_sim_time` works as in every node.
- The node warns about parameters that it does not know.
"""
SECTIONS: tuple[tuple[str, type], ...] = (
    ("Both perception nodes", PerceptionParameters),
    ("yolc_node", YolcParameters),
    ("loftr_node", LoftrParameters),
    ("rtabmap_bridge", RtabmapParameters),
    ("swarm_slam_bridge", SwarmSlamParameters),
)


def page() -> str:
    """Return the whole page as Markdown."""
    sections = (f"## {title}\n\n" + "\n".join(entries(kind)) + "\n" for title, kind in SECTIONS)
    return "\n".join([INTRODUCTION, *sections])


def entries(kind: type) -> list[str]:
    """Return one line for each parameter of a class, without those that a base class declares the same way."""
    base = {field.name: field for parent in kind.__mro__[1:-1] for field in dataclasses.fields(parent)}
    return [
        _entry(field)
        for field in dataclasses.fields(kind)
        if field.name not in base or field.default != base[field.name].default
    ]


def _entry(field: dataclasses.Field) -> str:
    info: ParameterInfo = field.metadata["parameter"]
    default = "empty" if field.default == "" else f"`{str(field.default).lower()}`"
    facts = [type(field.default).__name__, f"default {default}", _limits(info), "live" if info.live else ""]
    return f"- **`{field.name}`** ({'; '.join(filter(None, facts))}): {info.description}"


def _limits(info: ParameterInfo) -> str:
    if info.choices:
        return "one of " + ", ".join(f"`{choice}`" for choice in info.choices)
    if info.low is not None and info.high is not None:
        return f"{info.low:.10g} to {info.high:.10g}"
    return ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
