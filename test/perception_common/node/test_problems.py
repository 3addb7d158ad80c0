"""A problem is said once, and stands for as long as it lasts."""

from perception_common.node.problems import Problems


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
