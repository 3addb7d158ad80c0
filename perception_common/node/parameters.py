"""Node parameters as frozen dataclasses: declared with type, range and description, validated together.

    @dataclass(frozen=True)
    class Parameters:
        score_threshold: float = parameter(0.3, "lowest score that is published", low=0.0, high=1.0, live=True)

The dataclass may check several fields against each other in `__post_init__` (raising InputError).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from perception_common.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class ParameterInfo:
    """What a user may know of one parameter. `live`: it may change while the node is configured."""

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False


def parameter(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Return a dataclass field that `NodeParameters` declares as a ROS parameter."""
    return dataclasses.field(
        default=default, metadata={"parameter": ParameterInfo(description, low, high, choices, live)}
    )


def descriptor(default: bool | int | float | str, info: ParameterInfo) -> ParameterDescriptor:
    """Return the descriptor that `ros2 param describe` shows."""
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


class NodeParameters(Generic[T]):
    """The parameters of a node, at any moment one valid, frozen `values: T`.

    A change is checked as a whole. One that is not valid, or not `live` while `is_locked()` (the node is configured),
    is refused with the reason. `on_change(values)` is called after a change was accepted.
    """

    def __init__(self, node: Node, kind: type[T], is_locked: Callable[[], bool], on_change: Callable[[T], None]):
        self._fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        self._is_locked = is_locked
        self._on_change = on_change
        declared: dict[str, Any] = {}
        for name, field in self._fields.items():
            default: Any = field.default
            info = field.metadata["parameter"]
            try:
                declared[name] = node.declare_parameter(name, default, descriptor(default, info)).value
            except InvalidParameterTypeException as error:
                given = node._parameter_overrides[name].value
                hint = f"write {float(given)}" if isinstance(given, int) else f"the default is {default!r}"
                raise InputError(f"parameter {name!r} is {given!r}, not a {type(default).__name__}: {hint}") from error
            except InvalidParameterValueException as error:
                raise InputError(f"parameter {name!r}: {error}") from error
            self._check_choice(name, declared[name])
        self.values: T = kind(**declared)
        node.add_on_set_parameters_callback(self._validate)
        node.add_post_set_parameters_callback(self._apply)

    def unknown(self, node: Node) -> list[str]:
        """Sentences on parameters that were given to the node but that it does not have."""
        sentences = []
        for name in node._parameter_overrides:
            if node.has_parameter(name) or name.startswith("qos_overrides."):
                continue
            near = difflib.get_close_matches(name, self._fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `ros2 param list`"
            sentences.append(f"unknown parameter {name!r} is ignored: {hint}")
        return sentences

    def _check_choice(self, name: str, value: Any) -> None:
        choices = self._fields[name].metadata["parameter"].choices
        if choices and value not in choices:
            raise InputError(f"parameter {name!r} is {value!r}: choose one of {', '.join(choices)}")

    def _changed(self, parameters: list[Parameter]) -> T:
        changes = {item.name: item.value for item in parameters if item.name in self._fields}
        for name, value in changes.items():
            self._check_choice(name, value)
        return dataclasses.replace(self.values, **changes)  # type: ignore[type-var]

    def _validate(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            candidate = self._changed(parameters)
            if self._is_locked():
                for name, field in self._fields.items():
                    if not field.metadata["parameter"].live and getattr(candidate, name) != getattr(self.values, name):
                        raise InputError(
                            f"parameter {name!r} cannot change while the node is configured: clean it up first"
                        )
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply(self, parameters: list[Parameter]) -> None:
        changed = self._changed(parameters)
        if changed != self.values:
            self.values = changed
            self._on_change(changed)
