"""Label readers on hostile input: a result or an InputError, never another exception."""

import copy
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loftr_ros.datasets.image_pairs import read_pairs
from loftr_ros.datasets.scene_info import read_scene_info
from perception_common.errors import InputError
from replay_ros.bags.datasets.camera_files import read_calibration
from replay_ros.bags.datasets.ground_truth import read_altitude, read_poses
from yolc_ros.datasets.coco import read_coco
from yolc_ros.datasets.samples import ClassMap
from yolc_ros.datasets.uavdt import read_uavdt
from yolc_ros.datasets.visdrone import read_visdrone

CARS = ClassMap(("car", "truck", "bus"))
K = [[288.0, 0, 159.5], [0, 288.0, 119.5], [0, 0, 1]]
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}],
    "categories": [{"id": 3, "name": "car"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [4, 5, 10, 8], "iscrowd": 0}],
}
PAIRS = {"pairs": [{"a": "a.png", "b": "b.png", "K_a": K, "K_b": K, "T_ab": np.eye(4).tolist()}]}
POSES = {"poses": {"a.png": {"T_enu_cam": np.eye(4).tolist(), "exif": {"RelativeAltitude": "+39.8"}}}}
CAMERA = {"K": K, "D": [0.1, 0, 0, 0], "width": 320, "height": 240, "model": "plumb_bob"}
ODD = [None, True, -1, 0, 1e400, float("nan"), 10**400, "", "x", "1", "\ud800", "../a", [], {}, [[]], [{}], {"id": {}}]


def places(content, path=()):
    """The paths of all values in nested lists and dictionaries."""
    yield path
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def mutated(draw, content):
    """The content with some values replaced by odd ones, or removed."""
    content = json.loads(json.dumps(content))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([path for path in places(content) if path] or [("x",)]))
        target = content
        for key in path:
            target = target[key]
        if draw(st.booleans()) and isinstance(target, dict):
            target.pop(last, None)
        elif isinstance(target, dict) or last < len(target):
            target[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return content


READERS = {
    "coco": (COCO, lambda path: read_coco(path, path.parent, CARS)),
    "pairs": (PAIRS, read_pairs),
    "poses": (POSES, read_poses),
    "altitude": (POSES, lambda path: read_altitude(str(path))),
    "camera": (CAMERA, read_calibration),
}


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_json_with_odd_values(tmp_path_factory, name, data):
    content, read = READERS[name]
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_text(json.dumps(mutated(data.draw, content)).replace("1" + "0" * 400, "9" * 5000))
    try:
        for problem in getattr(read(path), "problems", ()):
            str(problem).encode()  # can be printed
    except InputError as error:
        str(error).encode()


@pytest.mark.parametrize("name", READERS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_json_with_bytes_flipped_and_cut(tmp_path_factory, name, data):
    content, read = READERS[name]
    text = bytearray(json.dumps(content).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "x.json"
    path.write_bytes(text[: data.draw(st.integers(0, len(text)))])
    try:
        read(path)
    except InputError:
        return


@settings(deadline=None, max_examples=60)
@given(st.text("0123456789,.-e xnaif;\t\r\n#", max_size=100) | st.binary(max_size=40))
def test_lines_of_visdrone_and_uavdt(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("images/1.jpg", "M1/img000001.jpg"):
        (folder / name).parent.mkdir()
        cv2.imwrite(str(folder / name), np.zeros((8, 8, 3), np.uint8))
    (folder / "annotations").mkdir()
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "annotations" / "1.txt").write_bytes(data)
    (folder / "M1_gt_whole.txt").write_bytes(data)
    for read in (lambda: read_visdrone(folder, CARS), lambda: read_uavdt(folder, folder, CARS)):
        try:
            assert len(read()) == 1
        except InputError:
            continue


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_scene_files_with_bytes_flipped_and_cut(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "scene.npz"
    np.savez(path, a=np.arange(6.0).reshape(2, 3), b=np.array([["x", 1]], object))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert isinstance(read_scene_info(path), dict)
    except InputError:
        return


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_opencv_files_with_bytes_flipped_and_cut(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "camera.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 320)
    storage.write("camera_matrix", np.array(K))
    storage.write("distortion_coefficients", np.zeros(5))
    storage.release()
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(10, len(content) - 1))] = data.draw(st.sampled_from(b"09-.:{[\n \x00\xff"))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_calibration(path)
    except InputError:
        return


def test_a_matrix_that_claims_much_memory_is_refused(tmp_path):
    path = tmp_path / "camera.yml"
    header = "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n"
    path.write_text(header + "   rows: 100000\n   cols: 100000\n   dt: d\n   data: [ 1. ]\n")
    with pytest.raises(InputError):
        read_calibration(path)
