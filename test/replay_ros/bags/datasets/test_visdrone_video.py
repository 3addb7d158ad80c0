"""Bags of VisDrone-VID and -MOT: true detections and ignored regions."""

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.bags.datasets.recording import FrameTiming
from replay_ros.bags.datasets.visdrone_video import read_visdrone_video
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag

# name, class, score, left, top, right, bottom; objects that are not scored come last, "others" are left out
FIRST = [
    ("car", 3, 1, 10, 12, 30, 20),
    ("pedestrian", 0, 1, 50, 12, 54, 21),
    ("ignored region", 10, 0, 0, 0, 30, 10),
    ("van", 4, 0, 70, 30, 79, 39),
]


def boxes(message):
    found = []
    for box in message.detections:
        x, y, w, h = box.center_x, box.center_y, box.size_x / 2, box.size_y / 2
        found.append((box.class_name, box.class_id, box.score, x - w, y - h, x + w, y + h))
    return found


@pytest.mark.parametrize("inside", ["", "sequences/uav1_v"])
def test_a_split_with_one_sequence_and_the_sequence_itself_are_recognised(visdrone, tmp_path, read_bag, inside):
    summary = make_bag(MakeBagOptions(visdrone / inside, tmp_path / "bag", rate=25.0))
    assert summary.what == "the VisDrone sequence uav1_v"
    assert "1 boxes without area in uav1_v.txt are left out" in summary.notes
    truth = [item.message for item in read_bag(tmp_path / "bag")["ground_truth/detections"]]
    assert [message.header.stamp.nanosec for message in truth] == [0, 40_000_000, 80_000_000]
    assert [(message.image_width, message.image_height) for message in truth] == [(96, 54)] * 3
    assert boxes(truth[0]) == FIRST
    assert boxes(truth[1]) == []
    assert boxes(truth[2]) == [("car", 3, 1, 12, 12, 32, 20)]


def test_target_ids_are_kept(visdrone, tmp_path, read_bag):
    make_bag(MakeBagOptions(visdrone, tmp_path / "bag"))
    tracks = [item.message.tracks for item in read_bag(tmp_path / "bag")["ground_truth/tracks"]]
    seen = [[(each.track_id, each.detection.class_name, each.detection.score) for each in image] for image in tracks]
    assert seen[0] == [(0, "car", 1), (1, "pedestrian", 1), (0, "ignored region", 0), (3, "van", 0)]
    assert seen[1:] == [[], [(0, "car", 1)]]


def test_boxes_shrink_with_the_image(visdrone, tmp_path, read_bag):
    make_bag(MakeBagOptions(visdrone, tmp_path / "bag", max_side=48))
    message = read_bag(tmp_path / "bag")["ground_truth/detections"][0].message
    assert (message.image_width, message.image_height) == (48, 27)
    np.testing.assert_allclose(boxes(message)[0][3:], [5, 6, 15, 10])


def test_an_assumed_rate_is_noted(visdrone):
    assert "VisDrone does not publish its frame rates: 10 Hz are assumed (--rate)" in (
        read_visdrone_video(visdrone, FrameTiming()).notes
    )


def test_of_several_sequences_one_must_be_given(visdrone, tmp_path):
    (visdrone / "sequences" / "uav2_v").mkdir()
    with pytest.raises(InputError, match=r"holds 2 sequences \(uav1_v, uav2_v\); give one, as .*sequences/uav1_v"):
        make_bag(MakeBagOptions(visdrone, tmp_path / "bag"))


def test_a_sequence_without_annotations_has_no_true_detections(visdrone, tmp_path):
    (visdrone / "annotations" / "uav1_v.txt").unlink()
    summary = make_bag(MakeBagOptions(visdrone, tmp_path / "bag"))
    assert any("there are no true detections" in note for note in summary.notes)
    assert "/ground_truth/detections" not in summary.counts


def test_an_empty_annotation_file_means_no_objects(visdrone, tmp_path, read_bag):
    (visdrone / "annotations" / "uav1_v.txt").write_text("")
    make_bag(MakeBagOptions(visdrone, tmp_path / "bag"))
    assert [len(item.message.detections) for item in read_bag(tmp_path / "bag")["ground_truth/detections"]] == [0] * 3


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("1,0,1,1,5,5,1,12,0,0", "line 1: .* has category 12, expected 0 to 11"),
        ("1,0,1,1,5,5", "line 1: .* is not a row of frame target left"),
        ("1,0,one,1,5,5,1,4,0,0", "line 1: .* is not a row of numbers"),
        ("1,-1,1,1,5,5,1,4,0,0", "line 1: .* has the target id -1, expected 0 to 4294967295"),
        ("1.5,0,1,1,5,5,1,4,0,0", "line 1: .* is not a row of frame target"),
    ],
)
def test_broken_lines_are_named(visdrone, line, sentence):
    (visdrone / "annotations" / "uav1_v.txt").write_text(line)
    with pytest.raises(InputError, match=sentence):
        read_visdrone_video(visdrone, FrameTiming())
