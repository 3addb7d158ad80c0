"""The parameters of a node: declared from a dataclass of `parameters.py`, validated together on every change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from perception_common.errors import InputError
from perception_common.node.parameters import (
    ParameterInfo,
    check_parameters,
    convert_parameter,
    parameter_infos,
    unknown_parameter,
)

T = TypeVar("T")


class NodeParameters(Generic[T]):
    """The parameters of a node; `values: T` always holds a valid, frozen set.

    A change is checked as a whole. It is refused with a reason when it is not valid, and when it touches a parameter
    that is not `live` while `is_locked()` (the node is configured). `on_change(values)` is called after an accepted
    change. Raises InputError when a parameter given at start is not valid.
    """

    def __init__(self, node: Node, kind: type[T], is_locked: Callable[[], bool], on_change: Callable[[T], None]):
        self._infos = parameter_infos(kind)
        self._is_locked = is_locked
        self._on_change = on_change
        defaults = {field.name: field.default for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        declared = {name: _declare(node, name, defaults[name], info) for name, info in self._infos.items()}
        check_parameters(self._infos, declared)
        self.values: T = kind(**declared)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def unknown(self, node: Node) -> list[str]:
        """Return one sentence for each parameter that was given to the node but that it does not have."""
        sentences = []
        for name in node._parameter_overrides:
            if node.has_parameter(name) or name.startswith("qos_overrides."):
                continue
            sentences.append(unknown_parameter(name, list(self._infos)))
        return sentences

    def _changed(self, parameters: list[Parameter]) -> T:
        changes = {item.name: item.value for item in parameters if item.name in self._infos}
        check_parameters(self._infos, changes)
        return dataclasses.replace(self.values, **changes)  # type: ignore[type-var]

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            candidate = self._changed(parameters)
            if self._is_locked():
                for name, info in self._infos.items():
                    if not info.live and getattr(candidate, name) != getattr(self.values, name):
                        raise InputError(
                            f"parameter {name!r} cannot change while the node is configured: clean it up first"
                        )
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        except Exception as error:  # rclpy would give no answer
            return SetParametersResult(successful=False, reason=f"{type(error).__name__}: {error}")
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        changed = self._changed(parameters)
        if changed != self.values:
            self.values = changed
            self._on_change(changed)


def _declare(node: Node, name: str, default: Any, info: ParameterInfo) -> Any:
    """Declare one parameter and return its value: the default, or what was given to the node at start."""
    if name in node._parameter_overrides:
        given = node._parameter_overrides[name].value
        value = convert_parameter(name, given, default, info)
        check_parameters({name: info}, {name: value})
        node._parameter_overrides[name] = Parameter(name, value=value)
    try:
        return node.declare_parameter(name, default, _descriptor(default, info)).value
    except InvalidParameterValueException as error:
        raise InputError(f"parameter {name!r}: {error}") from error


def _descriptor(default: bool | int | float | str, info: ParameterInfo) -> ParameterDescriptor:
    """Return the descriptor that `ros2 param describe` shows; rclpy itself enforces its range."""
    result = ParameterDescriptor(
        description=info.description,
        additional_constraints=f"one of {', '.join(info.choices)}" if info.choices else "",
        read_only=False,
    )
    if info.low is not None and info.high is not None:
        if isinstance(default, float):
            result.floating_point_range = [FloatingPointRange(from_value=info.low, to_value=info.high)]
        else:
            result.integer_range = [IntegerRange(from_value=int(info.low), to_value=int(info.high), step=1)]
    return result
