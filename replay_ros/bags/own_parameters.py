"""Parameters of the nodes that a bag brings along: which of its topics they should use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from perception_common.errors import InputError
from perception_common.text.yaml_files import read_yaml

FILE_NAME = "parameters.yaml"
# A bag may come from anybody, so it may choose sensors and not, for example, files.
ALLOWED = frozenset(
    {
        *("altitude", "altitude_along", "use_odometry", "use_imu", "base_frame", "base_from_optical"),
        *("gimbal", "gimbal_pitch", "max_interval", "georeference"),
    }
)


def parameters_text(nodes: Mapping[str, Mapping[str, bool | float | str]]) -> str:
    """Return the text of a parameter file: values of ALLOWED by the name of the node."""
    content = {f"/**/{node}": {"ros__parameters": dict(values)} for node, values in nodes.items()}
    head = "# Which topics of this bag the nodes use; `yolc replay` takes this file unless it is given another one.\n"
    return head + yaml.safe_dump(content, sort_keys=False)


def find_own_parameters(bag: Path) -> Path | None:
    """Return the parameter file in the folder of a bag; None where it has none.

    Raises InputError for one that sets more than which sensors are used.
    """
    path = bag / FILE_NAME
    if not path.is_file():
        return None
    unknown = sorted(_names(read_yaml(path)) - ALLOWED)
    if unknown:
        raise InputError(
            f"{path} sets {', '.join(unknown[:3])}; a bag may only choose its sensors: check the file and give it with "
            "--params-file"
        )
    return path


def _names(content: Any) -> set[str]:
    """Return the names of all parameters in a parameter file."""
    found: set[str] = set()
    for node in content.values() if isinstance(content, dict) else ():
        parameters = node.get("ros__parameters") if isinstance(node, dict) else None
        if not isinstance(parameters, dict) or len(node) != 1:
            return {"something else"}
        found |= {str(name) for name in parameters}
    return found
