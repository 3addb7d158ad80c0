"""Parameters on a real node: declared, validated together, changed live or refused."""

from dataclasses import dataclass

import pytest
import rclpy
from rclpy.parameter import Parameter

from perception_common.errors import InputError
from perception_common.node.parameters import parameter
from perception_common.node.ros_parameters import NodeParameters


@dataclass(frozen=True)
class Example:
    model: str = parameter("lite", "a name")
    mode: str = parameter("a", "a choice", choices=("a", "b"), live=True)
    low: float = parameter(0.2, "lower bound", low=0.0, high=1.0, live=True)
    high: float = parameter(0.8, "upper bound", low=0.0, high=1.0, live=True)
    count: int = parameter(3, "a number", low=1, high=9)
    colour: str = parameter("red", "red or blueN", pattern=r"red|blue\d", live=True)

    def __post_init__(self):
        if self.count == 8:
            raise ZeroDivisionError("eight")
        if self.low > self.high:
            raise InputError(f"low {self.low} is above high {self.high}")


@pytest.fixture(scope="module")
def context():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


@pytest.fixture
def make(context):
    nodes = []

    def make(overrides=(), locked=False):
        node = rclpy.create_node(
            "example", context=context, parameter_overrides=[Parameter(name, value=value) for name, value in overrides]
        )
        nodes.append(node)
        changes = []
        return node, NodeParameters(node, Example, lambda: locked, changes.append), changes

    yield make
    for node in nodes:
        node.destroy_node()


def set_parameters(node, **values):
    return node.set_parameters_atomically([Parameter(name, value=value) for name, value in values.items()])


def test_defaults_and_overrides(make):
    node, parameters, _ = make([("low", 0.5)])
    assert parameters.values == Example(low=0.5)
    described = node.describe_parameter("low")
    assert described.description == "lower bound"
    assert described.floating_point_range[0].to_value == 1.0
    assert node.describe_parameter("count").integer_range[0].from_value == 1
    assert "a, b" in node.describe_parameter("mode").additional_constraints


def test_a_change_is_validated_as_a_whole(make):
    node, parameters, changes = make()
    refused = set_parameters(node, low=0.9)
    assert not refused.successful
    assert "low 0.9 is above high 0.8" in refused.reason
    assert parameters.values == Example()

    assert set_parameters(node, low=0.9, high=1.0).successful
    assert parameters.values == Example(low=0.9, high=1.0)
    assert changes == [Example(low=0.9, high=1.0)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "c"}, "choose one of a, b"),
        ({"low": 1.5}, "range"),
        ({"count": 0}, "range"),
        ({"count": "many"}, "type"),
        ({"count": [1, 2]}, "type"),
        ({"count": None}, "cannot be undeclared"),
        ({"low": float("nan")}, "range"),
        ({"low": float("inf")}, "range"),
        ({"mode": True}, "type"),
        ({"count": 8}, "ZeroDivisionError: eight"),
        ({"model": "other"}, "clean it up first"),
    ],
)
def test_a_refused_change_gives_the_reason(make, change, words):
    node, parameters, changes = make(locked=True)
    result = set_parameters(node, **change)
    assert not result.successful
    assert words in result.reason
    assert parameters.values == Example()
    assert changes == []


def test_a_parameter_that_is_not_live_can_change_before_configuration(make):
    node, parameters, _ = make()
    assert set_parameters(node, model="other").successful
    assert parameters.values.model == "other"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (("mode", False), "in quotes; choose one of a, b"),
        (("model", 5), "write '5' in quotes"),
        (("low", "0.5"), "without quotes"),
        (("low", float("nan")), "finite"),
        (("mode", "c"), "choose one of"),
        (("low", 7.0), "range"),
        (("count", "x"), "not a int"),
    ],
)
def test_invalid_overrides_are_refused_at_start(make, override, words):
    with pytest.raises(InputError, match=words):
        make([override])


def test_a_whole_number_stands_for_a_float(make):
    _, parameters, _ = make([("low", 0)])
    assert parameters.values == Example(low=0.0)
    assert type(parameters.values.low) is float


def test_unknown_overrides_are_named_with_the_nearest_parameter(make):
    node, parameters, _ = make([("hihg", 0.7), ("qos_overrides./image.subscription.depth", 3)])
    (sentence,) = parameters.unknown(node)
    assert "hihg" in sentence
    assert "did you mean 'high'" in sentence


def test_a_text_that_does_not_fit_its_pattern_is_refused_at_start_and_later(make):
    with pytest.raises(InputError, match="parameter 'colour' is 'green': use red or blueN"):
        make([("colour", "green")])
    node, parameters, _ = make([("colour", "blue1")])
    assert not set_parameters(node, colour="blue").successful
    assert set_parameters(node, colour="blue2").successful
    assert parameters.values.colour == "blue2"
