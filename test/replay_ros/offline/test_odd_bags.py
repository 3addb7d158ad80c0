"""Bags as they come from the field: what can be answered is answered, and what is missing is counted and named."""

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.bags.datasets.calibration import uncalibrated, unrectified_calibration
from replay_ros.bags.messages import camera_info_message, image_message, stamp_of
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter
from replay_ros.commands.replay import main
from replay_ros.offline.replay import OfflineOptions, replay_offline
from replay_ros.report.build import read_content
from replay_ros.report.reading.results import read_results
from replay_ros.result.completeness import missing_answers
from replay_ros.result.replay_result import read_result, write_result

pytestmark = pytest.mark.slow

WIDTH, HEIGHT, STEP_NS = 240, 180, 500_000_000
IMAGE, INFO = "/camera/image", "/camera/camera_info"
GROUND = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (600, 900, 3)).astype(np.uint8), (0, 0), 1.5)
K = np.array([[220.0, 0, 119.5], [0, 220.0, 89.5], [0, 0, 1]])
CALIBRATED = unrectified_calibration(WIDTH, HEIGHT, K, (0.0,) * 5)


def view(number, width=WIDTH, height=HEIGHT):
    """What a camera sees that flies to the right over a plain; every second image becomes a keyframe."""
    return GROUND[100 : 100 + height, 30 * number : 30 * number + width]


def picture(types, number, stamp, encoding="bgr8", **size):
    return image_message(types, view(number, **size), encoding, stamp, "camera")


def zeros(types, stamp):
    return camera_info_message(types, uncalibrated(WIDTH, HEIGHT), stamp, "camera")


def calibration(types, stamp):
    return camera_info_message(types, CALIBRATED, stamp, "camera")


def write_bag(path, messages):
    """messages: (topic, function of types and stamp, received, stamp)."""
    with BagWriter(path) as bag:
        for topic, make, received, stamp in messages:
            bag.write(topic, make(bag.types, stamp), received)


def flight(count, *, start=STEP_NS, stamp=lambda received: received, info=calibration, first=0, **how):
    """The messages of a flight with an image every STEP_NS; `first`: number of the first view."""
    for number in range(count):
        received = start + number * STEP_NS
        if info is not None:
            yield INFO, info, received, stamp(received)
        make = lambda types, at, number=number: picture(types, first + number, at, **how)  # noqa: E731
        yield IMAGE, make, received, stamp(received)


@pytest.fixture
def replayed(tmp_path):
    """Return a function that replays messages with SIFT and gives the result and the messages of a topic."""
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")

    def run(messages, name="flight", **options):
        write_bag(tmp_path / name, messages)
        out = tmp_path / f"{name}_answers"
        result = replay_offline(OfflineOptions(tmp_path / name, out, tmp_path / "p.yaml", detection=False, **options))
        write_result(tmp_path / f"{name}.json", result)
        assert read_result(tmp_path / f"{name}.json") == result
        for node in result.answers:
            assert node.answered + node.refused_images + len(node.missed) == node.images == result.frames
        return result, lambda topic: messages_of(out, topic)

    return run


def messages_of(bag, topic):
    with open_bag(bag) as opened:
        return [item.message for item in opened.messages([topic])] if topic in opened.topics else []


def test_a_good_flight_is_answered_whole(replayed):
    result, messages = replayed(flight(6))
    (node,) = result.answers
    assert (result.frames, node.answered) == (6, 6)
    assert missing_answers(result) == ()
    assert len(messages("/loftr/relative_pose")) >= 2
    assert all(pose.geometry for pose in messages("/loftr/relative_pose"))


@pytest.mark.parametrize("when", ["zeros once", "zeros for half the flight", "once at the start", "once at the end"])
def test_the_first_camera_info_does_not_decide_for_all(replayed, when):
    start, end = STEP_NS // 2, 20 * STEP_NS
    images = list(flight(6, info=None))
    bags = {
        "zeros once": [(INFO, zeros, start, 0), *flight(6)],
        "zeros for half the flight": [*flight(3, info=zeros), *flight(3, start=4 * STEP_NS, first=3)],
        "once at the start": [(INFO, calibration, start, 0), *images],
        "once at the end": [*images, (INFO, calibration, end, end)],
    }
    result, messages = replayed(bags[when])
    assert result.pairs_without_camera == 0
    assert missing_answers(result) == ()
    assert messages("/loftr/relative_pose")
    assert all(pose.geometry for pose in messages("/loftr/relative_pose"))


@pytest.mark.parametrize(
    ("info", "words"),
    [(None, "no camera_info on"), (zeros, "cannot be used: camera is not calibrated")],
)
def test_relative_poses_without_a_calibration_are_missing(replayed, info, words):
    result, messages = replayed(flight(6, info=info))
    (missing,) = missing_answers(result)
    pairs = len(messages("/loftr/relative_pose"))
    assert result.pairs_without_camera == pairs >= 2
    assert f"{pairs} of {pairs} relative poses could not be estimated" in missing
    assert words in missing
    assert result.answers[0].answered == 6


def cut(types, number, stamp):
    message = picture(types, number, stamp, encoding="compressed-jpeg")
    message.data = message.data[: len(message.data) // 2]
    return message


def test_a_cut_image_at_the_start_is_refused_and_the_others_are_answered(replayed, tmp_path):
    good = list(flight(6, encoding="compressed-jpeg"))
    broken = [*good[:1], (IMAGE, lambda types, stamp: cut(types, 0, stamp), STEP_NS, STEP_NS), *good[2:]]
    result, messages = replayed(broken)
    (node,) = result.answers
    assert (node.answered, node.refused_images, node.missed) == (5, 1, ())
    assert node.refused[0].images == (0,)
    (missing,) = missing_answers(result)
    assert "loftr_node refused 1 of 6 images" in missing
    assert "truncated" in missing
    assert [stamp_of(each) for each in messages("/loftr/status")] == [number * STEP_NS for number in range(2, 7)]
    content = read_content(tmp_path / "flight_answers", read_results([tmp_path / "flight.json"]))
    assert len(content.frames) == 6
    assert [frame.picture is None for frame in content.frames] == [True, *[False] * 5]
    assert {frame.size for frame in content.frames} == {(WIDTH, HEIGHT)}
    assert content.timing.drops[0].lost.tolist() == [0]
    assert any("1 images were refused" in problem.text for problem in content.problems)


def test_a_first_image_of_another_size_does_not_decide_for_all(replayed, tmp_path):
    other = flight(1, start=STEP_NS // 2, info=None, width=120, height=90)
    result, messages = replayed([*other, *flight(6)])
    assert result.answers[0].answered == 7
    assert any(pose.geometry for pose in messages("/loftr/relative_pose"))
    frames = read_content(tmp_path / "flight_answers").frames
    assert [frame.size for frame in frames] == [(120, 90), *[(WIDTH, HEIGHT)] * 6]


def test_images_without_stamps_are_not_merged(replayed, tmp_path):
    result, messages = replayed(flight(6, stamp=lambda received: 0))
    assert (result.frames, result.answers[0].answered) == (6, 6)
    assert result.stamps.unstamped == 6
    assert len(messages("/loftr/status")) == 6
    assert all(len(stage.images) > 3 for stage in result.timing.stages if stage.name == "decode gray")
    content = read_content(tmp_path / "flight_answers", read_results([tmp_path / "flight.json"]))
    assert [bool(frame.decision) for frame in content.frames] == [True] * 6
    assert len({frame.picture for frame in content.frames}) == 6
    assert any("6 of 6 images have no stamp" in problem.text for problem in content.problems)


def test_where_stamps_jump_back_the_matching_starts_anew(replayed, tmp_path):
    """A recording that starts over: each part is answered as if it were recorded alone."""
    _, alone = replayed(flight(4), name="alone")
    again = flight(4, start=6 * STEP_NS, stamp=lambda received: received - 5 * STEP_NS)
    result, twice = replayed([*flight(4), *again], name="twice")
    assert result.stamps.jumps_back == 1
    assert result.stamps.first_jump == 4
    decisions = [each.decision for each in alone("/loftr/status")]
    assert [each.decision for each in twice("/loftr/status")] == 2 * decisions
    assert len(twice("/loftr/relative_pose")) == 2 * len(alone("/loftr/relative_pose")) > 0
    frames = read_content(tmp_path / "twice_answers").frames
    assert len(frames) == 8
    keyframes = [frame.keyframe for frame in frames if frame.keyframe is not None]
    assert keyframes == list(range(2 * len(alone("/loftr/keyframe"))))


def test_messages_that_cannot_be_decoded_are_left_out_and_named(tmp_path):
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    with BagWriter(tmp_path / "flight") as bag:
        for topic, make, received, stamp in flight(5):
            message = make(bag.types, stamp)
            data = bag.types.serialize_cdr(message, message.__msgtype__)
            bag.declare(topic, message.__msgtype__)
            bag.write_raw(topic, data[:20] if received == 2 * STEP_NS else data, received)
    result = replay_offline(OfflineOptions(tmp_path / "flight", tmp_path / "out", tmp_path / "p.yaml", detection=False))
    (node,) = result.answers
    assert (node.answered, node.refused[0].images) == (4, (1,))
    ((cause, count),) = result.left_out.items()
    assert (cause.split(":")[0], count) == (INFO, 1)
    assert (result.stamps.unstamped, result.stamps.jumps_back) == (0, 0)
    assert len(read_content(tmp_path / "out").frames) == 5


def test_what_can_be_read_of_a_damaged_bag_is_answered_and_the_loss_is_named(tmp_path):
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    write_bag(tmp_path / "whole", flight(20))  # several chunks of about a megabyte
    (storage,) = (tmp_path / "whole").glob("*.mcap")
    (tmp_path / "cut.mcap").write_bytes(storage.read_bytes()[: storage.stat().st_size // 2])
    result = replay_offline(
        OfflineOptions(tmp_path / "cut.mcap", tmp_path / "out", tmp_path / "p.yaml", detection=False)
    )
    assert 1 <= result.frames < 20
    assert result.answers[0].answered == result.frames
    assert "the bag is not complete" in missing_answers(result)[0]


def test_the_exit_status_tells_whether_everything_was_answered(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    options = ["--no-detection", "--no-report", "--params-file", str(tmp_path / "p.yaml")]
    write_bag(tmp_path / "good", flight(4))
    assert main([str(tmp_path / "good"), str(tmp_path / "good_out"), *options]) == 0
    said = capsys.readouterr()
    assert said.err.count("not everything") == 0
    assert said.out.splitlines()[-1] == "4 images: loftr_node answered 4, refused 0, missed 0"
    write_bag(tmp_path / "poor", flight(4, info=None))
    assert main([str(tmp_path / "poor"), str(tmp_path / "poor_out"), *options]) == 3
    said = capsys.readouterr()
    assert "replay: not everything was answered" in said.err.splitlines()[-1]
    assert (tmp_path / "poor_out").is_dir()
    assert (tmp_path / "poor_out.json").is_file()


def test_an_evaluation_that_fails_keeps_the_answers(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    write_bag(tmp_path / "good", flight(4))
    (tmp_path / "true.tum").write_text("no pose\n")
    status = main(
        [
            *(str(tmp_path / "good"), str(tmp_path / "out"), "--no-detection", "--no-report"),
            *("--params-file", str(tmp_path / "p.yaml"), "--truth", str(tmp_path / "true.tum")),
        ]
    )
    assert status == 3
    assert "the motion was not evaluated" in capsys.readouterr().err
    assert read_result(tmp_path / "out.json").answers[0].answered == 4


def test_a_replay_that_cannot_begin_leaves_no_folder(replayed, tmp_path):
    (tmp_path / "flight_answers").mkdir()
    (tmp_path / "flight_answers" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not only a bag"):
        replayed(flight(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flight", "flight_answers", "p.yaml"]


def test_camera_info_that_cannot_be_decoded_costs_the_poses_and_not_the_answers(tmp_path):
    with BagWriter(tmp_path / "flight") as bag:
        for topic, make, received, stamp in flight(3):
            message = make(bag.types, stamp)
            bag.declare(topic, message.__msgtype__)
            data = bytes(bag.types.serialize_cdr(message, message.__msgtype__))
            bag.write_raw(topic, data[:60] if topic == INFO else data, received)
    (tmp_path / "p.yaml").write_text("/**/loftr_node: {ros__parameters: {model: sift}}")
    options = OfflineOptions(tmp_path / "flight", tmp_path / "answers", tmp_path / "p.yaml", detection=False)
    result = replay_offline(options)
    assert [node.answered for node in result.answers] == [3]
    ((cause, count),) = result.left_out.items()
    assert count == 3
    assert "/camera/camera_info" in cause
    assert any("relative poses" in text for text in missing_answers(result))
