"""A problem is logged once and listed while it lasts."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from perception_common.node.problems import Problems, incompatible_qos, lost_images, missing_images
from perception_common.timing.lost_images import LostImages


def test_a_lasting_problem_is_logged_once_and_again_when_it_comes_back():
    log = []
    problems = Problems(log.append)

    problems.report("input", "no images")
    problems.report("input", "no images for longer")
    problems.report("camera", "no camera_info")
    assert log == ["no images", "no camera_info"]
    assert problems.active() == ("no images for longer", "no camera_info")

    problems.resolve("input")
    problems.resolve("never there")
    assert problems.active() == ("no camera_info",)
    problems.report("input", "no images again")
    assert log[-1] == "no images again"


def test_input_problems_name_the_topic_and_the_remedy():
    assert "it has no publisher" in missing_images("/image", 5.0, publishers=0)
    assert "it has 2 publisher(s)" in missing_images("/image", 5.0, publishers=2)
    text = incompatible_qos(
        "/image", SimpleNamespace(last_policy_kind=SimpleNamespace(name="RMW_QOS_POLICY_RELIABILITY"))
    )
    assert text.endswith("set the parameter qos_overrides./image.subscription.reliability")


@pytest.mark.parametrize(
    ("middleware", "remedy"),
    [
        ("rmw_fastrtps_cpp", "FASTRTPS_DEFAULT_PROFILES_FILE=/share/profile.xml"),
        ("rmw_fastrtps_dynamic_cpp", "FASTRTPS_DEFAULT_PROFILES_FILE=/share/profile.xml"),
        ("rmw_cyclonedds_cpp", "CYCLONEDDS_URI"),
        ("rmw_zenoh_cpp", "send compressed images"),
        ("rmw_connextdds", "send compressed images"),
    ],
)
def test_the_remedy_for_lost_images_is_one_of_the_middleware_in_use(middleware, remedy):
    lost = LostImages()
    lost.add_event(30)
    text = lost_images("/camera/image", 70, lost, middleware, Path("/share/profile.xml"))
    assert remedy in text
    assert ("profile.xml" in text) == ("fastrtps" in middleware)
    assert "30 of 100 images on /camera/image" in text
    assert "qos_overrides./camera/image.subscription.reliability" in text
    assert "docs/lossless_images.md" in text
