"""A problem is logged once and listed while it lasts."""

from types import SimpleNamespace

from perception_common.node.problems import Problems, incompatible_qos, missing_images


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
