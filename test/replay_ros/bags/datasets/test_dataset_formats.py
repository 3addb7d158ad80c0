"""Recognising the format of a source, and the error for one that has another format."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from replay_ros.bags.datasets.formats import DATASETS, open_recording
from replay_ros.bags.datasets.recording import FrameTiming


def test_each_dataset_is_recognised_by_one_format_only(kitti, tum, euroc, visdrone):
    folders = {"kitti": kitti[0], "tum": tum, "euroc": euroc[0], "visdrone-vid": visdrone}
    for name, folder in folders.items():
        assert [each.name for each in DATASETS if each.matches(folder)] == [name]
        assert open_recording(folder, FrameTiming()).what == open_recording(folder, FrameTiming(), name).what


def test_the_images_of_a_dataset_can_be_opened_as_a_plain_folder(tum):
    recording = open_recording(tum / "rgb", FrameTiming(), "images")
    assert (recording.what, recording.poses, recording.depth) == ("a folder of images", None, None)
    assert recording.cameras[0].sequence.stamps_ns[0] == 1305031102175304000


def test_a_pattern_makes_a_dataset_a_plain_folder(visdrone):
    images = visdrone / "sequences" / "uav1_v"
    assert open_recording(images, FrameTiming(), pattern="*2.jpg").what == "a folder of images"


def test_the_root_of_kitti_asks_for_a_sequence(kitti):
    root = kitti[0].parent.parent
    with pytest.raises(InputError, match=rf"{root} holds 1 KITTI sequences; give one, as {kitti[0]}"):
        open_recording(root, FrameTiming())


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tartan", "unknown format 'tartan'; choose one of kitti, tum, euroc"),
        ("kitti", "is not a kitti sequence: it has no times.txt beside image_0 or image_2"),
        ("euroc", "is not a euroc sequence: it has no mav0/cam0/data.csv"),
        ("visdrone-vid", "is not a visdrone-vid sequence"),
        ("video", "is not a file; give the video itself"),
        (None, "holds no images"),
    ],
)
def test_the_error_for_a_source_of_another_format_names_what_is_missing(tmp_path, name, sentence):
    with pytest.raises(InputError, match=sentence):
        open_recording(tmp_path, FrameTiming(), name)


TEXTS = (
    *("kitti/times.txt", "kitti/calib.txt", "kitti/../../poses/03.txt"),
    *("tum/rgb.txt", "tum/groundtruth.txt", "tum/depth.txt"),
    *("euroc/mav0/cam0/data.csv", "euroc/mav0/cam0/sensor.yaml", "euroc/mav0/imu0/data.csv"),
    "euroc/mav0/state_groundtruth_estimate0/data.csv",
    "visdrone-vid/annotations/uav1_v.txt",
)
CELLS = st.sampled_from(
    ["0", "1", "-1", "0.5", "1e99", "nan", "1403636579763555584", "a", "P2:", "T_BS: {", "[", "4", ""]
)
LINES = st.lists(st.lists(CELLS, max_size=14).map(" ".join), max_size=4).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(file=st.sampled_from(TEXTS), text=st.text(max_size=40) | LINES)
@example(file="kitti/../../poses/03.txt", text=" ".join(["0"] * 13))  # one number too many
def test_any_file_content_is_read_or_refused_in_one_line(kitti, tum, euroc, visdrone, file, text):
    folders = {"kitti": kitti[0], "tum": tum, "euroc": euroc[0], "visdrone-vid": visdrone}
    name, _, inside = file.partition("/")
    path = folders[name] / inside
    before, refusal = path.read_bytes(), ""
    path.write_text(text, encoding="utf-8", newline="")
    try:
        recording = open_recording(folders[name], FrameTiming(), name)
    except InputError as error:
        recording, refusal = None, str(error)
    finally:
        path.write_bytes(before)
    if recording is None:
        assert str(tum.parent) in refusal
        assert "\n" not in refusal
    else:
        stamps = [camera.sequence.stamps_ns for camera in recording.cameras]
        assert all(each == tuple(sorted(set(each))) for each in stamps)
