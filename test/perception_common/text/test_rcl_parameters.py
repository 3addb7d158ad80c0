"""Parameter files are read as rcl and rclpy read them: the same file given to a node is the oracle."""

import math

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.context import Context
from rclpy.node import Node

from perception_common.errors import InputError
from perception_common.text.rcl_parameters import read_entries


def of_node(path, namespace):
    """The overrides that a node gets from the file; None where rcl refuses it."""
    context = Context()
    try:
        rclpy.init(args=["x", "--ros-args", "--params-file", str(path)], context=context)
    except Exception:
        return None
    try:
        node = Node("a_node", namespace=namespace, context=context, enable_rosout=False, start_parameter_services=False)
        found = {name: each.value for name, each in node._parameter_overrides.items()}
        node.destroy_node()
        return found
    finally:
        context.try_shutdown()


def of_file(path, namespace):
    full_name = f"{namespace.rstrip('/')}/a_node"
    try:
        entries = read_entries(path)
    except InputError:
        return None
    return {name: value for entry in entries if entry.matches(full_name) for name, value in entry.values.items()}


def same(ours, theirs):
    if isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours):
        return math.isnan(theirs)
    return type(ours) is type(theirs) and ours == theirs


def check(path, text, namespace="/uav1"):
    path.write_text(text, encoding="utf-8")
    ours, theirs = of_file(path, namespace), of_node(path, namespace)
    assert (ours is None) == (theirs is None), (text, ours, theirs)
    if ours is not None and theirs is not None:
        assert ours.keys() == theirs.keys(), (text, ours, theirs)
        assert all(same(ours[name], theirs[name]) for name in ours), (text, ours, theirs)


BODY = "{ros__parameters: {a: 1}}"


@pytest.mark.parametrize(
    "text",
    [
        *(f"{name}: {BODY}" for name in ("/**", "/*", "/**/a_node", "/*/a_node", "a_node", "/a_node", "/uav1/a_node")),
        *(f"{name}: {BODY}" for name in ("uav1/a_node", "/uav1/**", "/uav1/*", '"**"', '"*"', "/**/uav1/a_node")),
        *(f"{name}: {{a_node: {BODY}}}" for name in ("uav1", "/uav1", "/**", "/*", "uav2")),
        f"uav: {{uav1: {{a_node: {BODY}}}}}",
        f"/**/a_node: {BODY}\n/uav1/a_node: {{ros__parameters: {{a: 2}}}}\n/**: {{ros__parameters: {{a: 3}}}}",
        "/**: {ros__parameters: {a: 1}}\na_node: {ros__parameters: {a: 2}}\n/**: {ros__parameters: {b: 3}}",
        f"/uav1/a_node: {BODY}\n/**: {{ros__parameters: {{a: 2}}}}\n/uav1/a_node: {{ros__parameters: {{a: 3}}}}",
        "/**: {ros__parameters: {a: 1, a: 2}}",
        "/**: {ros__parameters: {a: {b: {c: 1}}, a.b.d: 2, e: [1, 2], f: [1.0, 2.5], g: [x, y], h: [true, no]}}",
        "/**: {ros__parameters: {a: [1, 2.0]}}",
        "/**: {ros__parameters: {a: [1, x]}}",
        "/**: {ros__parameters: {a: &x 1, b: *x}}",
        "/**: {ros__parameters: {a: !!str 1, b: '1', c: \"on\"}}",
        "/**:\n  ros__parameters:\n    a: >-\n      1\n    b: |\n      1\n",
        "---\n/**: {ros__parameters: {a: 1}}\n---\n/**: {ros__parameters: {b: 1}}",
        "/**:\r\n  ros__parameters:\r\n    a: x\r\n",
        "\ufeff/**: {ros__parameters: {a: 1}}",
        "# nothing",
        "",
        "/**: {ros__parameters: {a: }}",
        "/**: {ros__parameters: }",
        "/**:",
        "/**: {a: 1}",
        "/**: {ros_parameters: {a: 1}}",
        "- a",
        "ros__parameters: {a: 1}",
        "/**: [",
        "/**:\n\tros__parameters: {a: 1}",
    ],
)
def test_names_and_forms(tmp_path, text):
    check(tmp_path / "p.yaml", text)
    check(tmp_path / "p.yaml", text, "/")


WORDS = "on Off yes N y null ~ true TRUE tRue .inf -.Inf .nan +.inf inf nan 2001-01-01 = x"
NUMBERS = "010 08 0x1F -0x1f 0o17 1e-1 1E5 1e999 1e-999 1e-310 0e5 +5 -0 1_000 1:30 .5 5. -.5 1.5e 9223372036854775807"
BEYOND = "99999999999999999999 -9223372036854775808 9223372036854775808"


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(f"{WORDS} {NUMBERS} {BEYOND}".split())
    | st.integers().map(str)
    | st.floats().map(repr)
    | st.text("0123456789.eE+-xinfa_", min_size=1, max_size=7).filter(lambda text: text.strip("-") and text[0] != "-")
)
def test_values_get_the_type_that_rcl_gives_them(tmp_path, text):
    check(tmp_path / "p.yaml", f"/**:\n  ros__parameters:\n    a: {text}\n")
