"""A real sequence through real processes: make_bag, bag_info, replay, and what the answers bag holds."""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import yaml

from perception_common.config import load_yaml
from perception_common.resources import find_config, find_share
from perception_common.weights import save_weights
from replay_ros.bags.messages import stamp_of
from replay_ros.bags.reader import open_bag
from yolc_ros.network.config import YolcConfig
from yolc_ros.network.yolc import Yolc, initialise

pytestmark = [pytest.mark.system, pytest.mark.shared_data]
BIN = find_share().parents[1] / "lib" / "yolc_ros"


def write_eager_weights(path):
    """Random weights of yolc_lite that see something everywhere."""
    network = Yolc(load_yaml(YolcConfig, find_config("models/yolc_lite.yaml")))
    initialise(network)
    state = network.state_dict()
    state["bbox_head.local_head.6.bias"] += 4.0  # of the heatmap
    state["bbox_head.reg_conv.2.weight"].zero_()  # boxes of one size around each peak
    state["bbox_head.reg_conv.2.bias"].fill_(1.0)
    state["bbox_head.xywh_refine.weight"].fill_(0.01)
    save_weights(state, path, {})


def command(name, *arguments):
    return subprocess.run(
        [sys.executable, BIN / name, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
    )


# Low thresholds, so that there is something to check whatever the weights are.
PARAMETERS = """
/**/yolc_node: {ros__parameters: {weights: WEIGHTS, score_threshold: 0.01}}
/**/loftr_node: {ros__parameters: {match_threshold: 0.01, max_displacement: 0.05}}
"""
SEQUENCES = {
    "tum_fr2_desk": ({"K": [520.9, 521.0, 325.1, 249.7], "width": 640, "height": 480}, ["--limit", 8]),
    "odm_brighton_beach": (
        {"K": [947.0, 947.0, 800.0, 450.0], "width": 1600, "height": 900},
        ["--no-telemetry", "--rate", 0.5, "--limit", 6, "--encoding", "compressed-jpeg", "--storage", "sqlite3"],
    ),
}


@pytest.fixture(scope="module", params=sorted(SEQUENCES))
def replayed(request, shared_data, tmp_path_factory):
    """(input bag, answers bag, result of the replay) of a sequence, replayed in lockstep."""
    folder = tmp_path_factory.mktemp(request.param)
    camera, options = SEQUENCES[request.param]
    (folder / "camera.yaml").write_text(yaml.safe_dump(camera))
    write_eager_weights(folder / "eager.safetensors")
    (folder / "parameters.yaml").write_text(PARAMETERS.replace("WEIGHTS", str(folder / "eager.safetensors")))
    images = shared_data / request.param / "images"
    made = command("make_bag", images, folder / "flight", "--camera", folder / "camera.yaml", *options)
    assert made.returncode == 0, made.stderr
    result = command(
        *("replay", folder / "flight", folder / "answers", "--live", "--lockstep"),
        *("--params-file", folder / "parameters.yaml", "--json", folder / "result.json"),
    )
    assert result.returncode == 0, result.stderr
    return folder / "flight", folder / "answers", json.loads((folder / "result.json").read_text())


def messages(path, topic):
    with open_bag(path) as bag:
        return [item.message for item in bag.messages([topic])] if topic in bag.topics else []


def images_of(path):
    with open_bag(path) as bag:
        (topic,) = (t for t in bag.topics.values() if t.type.endswith("Image"))
    return messages(path, topic.name)


def test_every_frame_has_one_answer_of_each_node(replayed):
    flight, answers, result = replayed
    sent = [stamp_of(image) for image in images_of(flight)]
    assert len(sent) == result["frames"] > 5
    for topic in ("/yolc/tracks", "/yolc/detections", "/loftr/status"):
        assert [stamp_of(message) for message in messages(answers, topic)] == sent
    whole = {"images": len(sent), "answered": len(sent), "refused": 0, "missed": 0}
    assert result["counts"] == {"yolc_node": whole, "loftr_node": whole}
    assert all(len(stage["seconds"]) == len(sent) for stage in result["timing"]["stages"])
    assert result["nodes"]["/loftr_node"]["model"] == "loftr_lite"


def test_headers_are_those_of_the_images(replayed):
    flight, answers, _ = replayed
    frames = {stamp_of(image): image.header.frame_id for image in images_of(flight)}
    for topic in (
        "/yolc/detections",
        "/yolc/tracks",
        "/loftr/status",
        "/loftr/keyframe",
        "/loftr/correspondences",
        "/loftr/relative_pose",
    ):
        for message in messages(answers, topic):
            assert message.header.frame_id == frames[stamp_of(message)]


def test_the_inputs_are_in_the_answers_bag_unchanged(replayed):
    flight, answers, _ = replayed
    for before, after in zip(images_of(flight), images_of(answers), strict=True):
        assert stamp_of(before) == stamp_of(after)
        np.testing.assert_array_equal(before.data, after.data)


def test_boxes_lie_inside_the_image(replayed):
    _, answers, _ = replayed
    arrays = messages(answers, "/yolc/detections")
    assert sum(len(array.detections) for array in arrays) > 100
    for array in arrays:
        assert array.image_width in (640, 1600)
        for box in array.detections:
            assert box.center_x - box.size_x / 2 >= -1e-3
            assert box.center_y - box.size_y / 2 >= -1e-3
            assert box.center_x + box.size_x / 2 <= array.image_width + 1e-3
            assert box.center_y + box.size_y / 2 <= array.image_height + 1e-3
            assert box.size_x > 0
            assert box.size_y > 0


def test_keyframe_ids_persist(replayed):
    _, answers, _ = replayed
    keyframes = {keyframe.id: stamp_of(keyframe) for keyframe in messages(answers, "/loftr/keyframe")}
    assert list(keyframes) == list(range(len(keyframes)))
    pairs = Counter()
    for message in messages(answers, "/loftr/correspondences"):
        assert stamp_of(message.older) == keyframes[message.older.id]
        assert stamp_of(message.newer) == keyframes[message.newer.id]
        pairs[message.older.id, message.newer.id] += 1
    assert set(pairs.values()) <= {1}
    # Every keyframe but the first is matched with the one before it.
    assert {(i, i + 1) for i in range(len(keyframes) - 1)} <= set(pairs)


def test_correspondences_are_parallel_arrays_inside_both_images_and_poses_go_with_them(replayed):
    _, answers, _ = replayed
    poses = {(pose.older_id, pose.newer_id): pose for pose in messages(answers, "/loftr/relative_pose")}
    pairs = messages(answers, "/loftr/correspondences")
    assert sum(len(message.x0) for message in pairs) > 100
    for message in pairs:
        count = len(message.x0)
        for name in ("y0", "x1", "y1", "confidence", "spread", "id0", "id1", "inlier", "dynamic"):
            assert len(getattr(message, name)) == count
        for x, y, keyframe in ((message.x0, message.y0, message.older), (message.x1, message.y1, message.newer)):
            assert ((x >= -0.5) & (x <= keyframe.width - 0.5) & (y >= -0.5) & (y <= keyframe.height - 0.5)).all()
        pose = poses.pop((message.older.id, message.newer.id))
        assert pose.matches == count
        assert pose.inliers == message.inlier.sum()
        assert pose.scale_status == 0
        assert (pose.geometry == 1) == (pose.reason == "")
        translation = pose.pose.pose.position
        length = np.linalg.norm([translation.x, translation.y, translation.z])
        assert length == pytest.approx(1.0 if pose.geometry in (1, 2) else 0.0, abs=1e-6)
    assert not poses


def test_a_bag_of_answers_can_be_replayed_again(replayed, tmp_path):
    _, answers, _ = replayed
    result = command("replay", answers, tmp_path / "again", "--live", "--lockstep", "--no-matching", "--limit", 1)
    assert result.returncode == 0, result.stderr
    sent = [stamp_of(image) for image in images_of(answers)][:1]
    assert [stamp_of(message) for message in messages(tmp_path / "again", "/yolc/detections")] == sent
    assert not messages(tmp_path / "again", "/loftr/status")


def test_bag_info_names_what_is_usable(replayed):
    _, answers, _ = replayed
    told = command("bag_info", answers)
    assert told.returncode == 0
    assert "yes detection and matching" in told.stdout
