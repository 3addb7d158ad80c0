"""Detections in bags against truth in bags: association by stamp, classes by name, scores computed by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from flight_sim.flight import CameraOptions, FlightOptions
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.messages import header, load_types, new
from replay_ros.bags.reader import open_bag
from replay_ros.bags.writer import BagWriter
from replay_ros.evaluation.detection.bags import ArrayOptions, score_arrays, score_bag

SECOND = 1_000_000_000
SMALL = FlightOptions(camera=CameraOptions(width=640, height=360))
CAR, BUS = (3, "car"), (8, "bus")


def array(stamp_ns, *boxes, trained=True, seconds=0.5, regions=0):
    """A DetectionArray message; boxes: ((class id, name), score, x0, y0, x1, y1)."""
    return SimpleNamespace(
        header=SimpleNamespace(stamp=SimpleNamespace(sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)),
        detections=[
            SimpleNamespace(
                class_id=kind[0],
                class_name=kind[1],
                score=score,
                center_x=(x0 + x1) / 2,
                center_y=(y0 + y1) / 2,
                size_x=x1 - x0,
                size_y=y1 - y0,
            )
            for kind, score, x0, y0, x1, y1 in boxes
        ],
        regions=[None] * regions,
        model="yolc_lite",
        trained=trained,
        inference_seconds=seconds,
    )


ONE, TWO = (10, 10, 50, 40), (60, 10, 90, 40)
TRUTH = [array(SECOND, (CAR, 1, *ONE), (BUS, 1, *TWO)), array(2 * SECOND, (CAR, 1, *TWO))]


def test_detections_are_compared_with_the_truth_at_their_stamp():
    # In reversed order, and each also with the box of the other image.
    found = [
        array(2 * SECOND, (CAR, 0.9, *TWO), (CAR, 0.2, *ONE), regions=2, seconds=0.3),
        array(SECOND, (CAR, 0.8, *ONE), (CAR, 0.7, *TWO), (BUS, 0.6, *TWO), seconds=0.1),
    ]
    result = score_arrays(found, TRUTH)
    assert result.scores.by_class["car"].ap == pytest.approx(1)
    assert result.scores.by_class["bus"].ap == 1
    point = result.scores.by_class["car"].operating
    assert (point.hits, point.false, point.missed) == (2, 1, 0)  # the box with score 0.2 does not count
    assert [each.name for each in result.scores.by_image] == [str(SECOND), str(2 * SECOND)]
    assert (result.images, result.crops_per_image, result.seconds_per_image) == (2, 1, pytest.approx(0.2))
    assert (result.model, result.classes) == ("yolc_lite", {"car": "car", "bus": "bus"})
    assert result.settings["smallest_score"] == pytest.approx(0.2)
    assert result.notes == ("2 of 2 images with truth are answered (stamps within 0 s)",)


def test_ignored_regions_and_unscored_objects_count_as_neither_found_nor_missed():
    region, unscored = ((10, "ignored region"), 0, 200, 0, 300, 100), (CAR, 0, 60, 60, 90, 90)
    truth = [array(SECOND, (CAR, 1, *ONE), unscored, region)]
    found = [array(SECOND, (CAR, 0.9, *ONE), (CAR, 0.8, 60, 60, 90, 90), (CAR, 0.7, 210, 10, 230, 30))]
    result = score_arrays(found, truth, ArrayOptions("official-visdrone"))
    point = result.scores.by_class["car"].operating
    assert (result.classes, point.hits, point.false, point.missed) == ({"car": "car"}, 1, 0, 0)
    kept = score_arrays(found, [array(SECOND, (CAR, 1, *ONE))], ArrayOptions("official-visdrone"))
    assert kept.scores.by_class["car"].operating.false == 2


def test_images_without_detections_are_left_out_or_missed():
    found = [array(SECOND, (CAR, 0.8, *ONE), (BUS, 0.6, *TWO))]
    kept = score_arrays(found, TRUTH)
    assert (kept.images, kept.scores.ap) == (1, 1)
    assert "the other 1 are left out" in kept.notes
    missed = score_arrays(found, TRUTH, ArrayOptions(unanswered="miss"))
    assert (missed.images, missed.scores.operating.missed) == (2, 1)
    assert missed.scores.by_class["car"].ap == pytest.approx(51 / 101)


def test_the_nearest_message_within_the_tolerance_is_associated_once():
    truth = [array(SECOND + shift, (CAR, 1, *ONE)) for shift in (0, 40_000_000)]
    found = [array(SECOND + 30_000_000, (CAR, 0.9, *ONE)), array(SECOND + 90_000_000, (CAR, 0.9, *TWO))]
    with pytest.raises(InputError, match="same recording"):
        score_arrays(found, truth)
    near = score_arrays(found, truth, ArrayOptions(tolerance_s=0.035))
    assert [each.name for each in near.scores.by_image] == [str(SECOND + 40_000_000)]
    assert near.scores.ap == 1
    assert "1 answers have no truth and are left out" in near.notes
    wide = score_arrays(found, truth, ArrayOptions(tolerance_s=0.1))
    assert wide.images == 2


def test_messages_with_the_same_stamp_are_paired_in_order_and_not_merged():
    truth = [array(SECOND, (CAR, 1, *ONE)), array(SECOND, (CAR, 1, *TWO)), array(2 * SECOND, (CAR, 1, *ONE))]
    found = [array(SECOND, (CAR, 0.9, *ONE)), array(SECOND, (CAR, 0.8, *TWO)), array(2 * SECOND, (CAR, 0.7, *ONE))]
    result = score_arrays(found, truth)
    assert (result.images, result.scores.ap) == (3, 1)


def test_messages_with_the_same_stamp_are_left_out_where_one_is_not_answered():
    truth = [array(0, (CAR, 1, *ONE)), array(0, (CAR, 1, *TWO)), array(2 * SECOND, (CAR, 1, *ONE))]
    found = [array(0, (CAR, 0.8, *TWO)), array(2 * SECOND, (CAR, 0.7, *ONE))]
    for unanswered in ("skip", "miss"):
        result = score_arrays(found, truth, ArrayOptions(unanswered=unanswered))
        assert (result.images, result.scores.ap) == (1, 1)
        assert any("2 images with truth share their stamp" in note for note in result.notes)
    with pytest.raises(InputError, match=r"2 share theirs with others"):
        score_arrays(found[:1], truth[:2])


def test_classes_are_matched_by_name_and_may_be_joined():
    van = (0, "van")
    found = [array(SECOND, (van, 0.9, *ONE), ((7, "bus"), 0.8, *TWO)), array(2 * SECOND, (CAR, 0.7, *TWO))]
    assert score_arrays(found, TRUTH).scores.by_class["car"].operating.hits == 1
    result = score_arrays(found, TRUTH, ArrayOptions(classes="car=car+van"))
    assert result.scores.by_class["car"].operating.hits == 2
    assert result.classes == {"car": "van+car"}
    with pytest.raises(InputError, match="no category 'tram'"):
        score_arrays(found, TRUTH, ArrayOptions(classes="tram"))


def test_empty_input_gives_a_complete_result():
    for found, truth in (([], []), ([], TRUTH), ([array(SECOND)], [array(SECOND)]), ([array(SECOND)], [])):
        result = score_arrays(found, truth)
        assert result.scores.ap is None
        result.to_json()
    assert score_arrays([array(SECOND)], [TRUTH[0]]).scores.ap == 0


def test_random_weights_are_noted():
    assert any("mean nothing" in note for note in score_arrays([array(SECOND, trained=False)], TRUTH).notes)


@pytest.mark.parametrize("wrong", [{"protocol": "voc"}, {"tolerance_s": -1.0}])
def test_invalid_options_are_refused(wrong):
    with pytest.raises(InputError):
        ArrayOptions(**wrong)


# --- bags --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """A short simulated flight with its truth, and a bag of its boxes, each moved by a tenth of its width."""
    folder = tmp_path_factory.mktemp("bags")
    write_flight(FlightBagOptions(folder / "flight", seed=3, flight=SMALL, frames=2))
    types = load_types()
    with open_bag(folder / "flight") as bag, BagWriter(folder / "answers") as out:
        for item in bag.messages(["ground_truth/detections"]):
            stamp = item.stamp_ns
            moved = [
                new(types, "yolc_ros/msg/Detection", **vars(box) | {"center_x": box.center_x + 0.1 * box.size_x})
                for box in item.message.detections
            ]
            values = vars(item.message) | {"header": header(types, stamp, "camera"), "detections": moved}
            out.write("yolc/detections", new(types, "yolc_ros/msg/DetectionArray", **values), stamp)
    return folder


def test_two_bags(flown):
    result = score_bag(flown / "answers", flown / "flight", weights_sha256="ab")
    # A box moved by a tenth of its width has an IoU of 0.9 / 1.1 with itself: enough for seven of ten IoUs.
    assert result.images == 2
    assert result.scores.ap75 == pytest.approx(1, abs=0.02)
    assert result.scores.ap == pytest.approx(0.7, abs=0.02)
    assert result.weights_sha256 == "ab"
    assert str(flown / "flight") in result.truth
    sizes = sum(each.objects for each in result.scores.by_class.values())
    assert sizes == result.scores.operating.hits + result.scores.operating.missed > 10


def test_the_truth_itself_has_the_highest_scores(flown):
    result = score_bag(flown / "flight", topic="ground_truth/detections")
    assert result.scores.ap == result.scores.operating.f1 == 1
    assert np.isclose(result.scores.recall["500"], 1)


def test_missing_topics_and_topics_of_other_types(flown):
    with pytest.raises(InputError, match="has no topic yolc/detections"):
        score_bag(flown / "flight")
    with pytest.raises(InputError, match="no yolc_ros/msg/DetectionArray"):
        score_bag(flown / "flight", topic="altitude")
