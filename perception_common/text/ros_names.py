"""Names of ROS that a user gives."""

from __future__ import annotations

import re

from perception_common.errors import InputError

_NAMESPACE = re.compile(r"(/[A-Za-z_][A-Za-z0-9_]*)*")


def node_namespace(text: str) -> str:
    """Return a namespace as ROS takes it, "/uav1" for "uav1", "/uav1" and "uav1/"; "" for the root.

    Raises InputError for a name that ROS does not allow.
    """
    name = text.strip().strip("/")
    namespace = f"/{name}" if name else ""
    if not _NAMESPACE.fullmatch(namespace):
        raise InputError(
            f"{text!r} is no namespace: give names of letters, digits and _ that begin with no digit, "
            "as uav1 or /fleet/uav1"
        )
    return namespace
