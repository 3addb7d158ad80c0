"""Targets: text, labels, weights and results that a user hands to a command or a node."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import safetensors.torch
import torch

from loftr_ros.datasets.image_pairs import read_pairs
from loftr_ros.datasets.photographs import list_images
from loftr_ros.network.config import LoFTRConfig
from loftr_ros.parameters import LoftrParameters
from perception_common.config import load_yaml
from perception_common.node.parameter_file import read_parameters
from perception_common.resources import find_config
from perception_common.training.average import WeightAverage
from perception_common.training.checkpoint import RunState
from perception_common.training.distributed import Processes
from perception_common.tum import read_tum
from perception_common.weights import load_weights
from replay_ros.bags.datasets.camera_files import read_calibration
from replay_ros.bags.datasets.ground_truth import read_altitude, read_poses
from replay_ros.bags.datasets.kitti import read_kitti
from replay_ros.bags.datasets.recording import FrameTiming
from replay_ros.evaluation.detection.datasets import Dataset, coco_dataset, uavdt_dataset, visdrone_dataset
from replay_ros.evaluation.detection.truth import choose_classes
from replay_ros.reliability.fuzz.target import Target, from_file
from replay_ros.result.answers import NodeAnswers
from replay_ros.result.compare import compare, setup_differences
from replay_ros.result.provenance import Provenance
from replay_ros.result.replay_result import ReplayResult, read_result, write_result
from replay_ros.result.timing import StageTimes, Timing
from yolc_ros.network.config import YolcConfig
from yolc_ros.parameters import YolcParameters

_IDENTITY = np.eye(4).tolist()
_K = [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]]
_KITTI = b"0.0\n0.1\n0.2\n\x00500 0 32 0 0 500 24 0 0 0 1 0\x001 0 0 0 0 1 0 0 0 0 1 0"
_PICTURE = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()


def targets() -> list[Target]:
    """Return the targets of this module."""
    return [
        Target("COCO labels", _coco_seeds, _read_coco),
        Target("list of photographs", _coco_seeds, from_file(lambda path: list_images((path,)))),
        Target("VisDrone labels", lambda: [b"10,20,30,40,1,4,0,0\n5,5,9,9,0,0,0,0\n"], _read_visdrone),
        Target("UAVDT labels", lambda: [b"1,1,10,20,30,40,1,1,1\n1,2,5,5,9,9,1,1,3\n"], _read_uavdt),
        Target("TUM trajectory", lambda: [b"# stamp\n1.5 1 2 3 0 0 0 1\n2.5 1 2 3 0 0 0.6 0.8\n"], from_file(read_tum)),
        Target("pairs.json", _pairs_seeds, from_file(read_pairs)),
        Target("poses by image", _poses_seeds, _read_poses),
        Target("altitudes", _altitude_seeds, _read_altitude),
        Target("KITTI sequence", lambda: [_KITTI], _read_kitti),
        Target("calibration file", _calibration_seeds, from_file(read_calibration, "camera.yaml")),
        Target("parameter file", _parameter_seeds, _read_parameters, cost=3),
        Target("model file", _model_seeds, _read_model, cost=3),
        Target("safetensors", _safetensors_seeds, _read_weights("weights.safetensors"), cost=2),
        Target("torch checkpoint", _checkpoint_seeds, _read_weights("weights.pth"), cost=4),
        Target("run checkpoint", lambda: [_run_checkpoint()], _read_run, cost=6),
        Target("replay result", _result_seeds, from_file(_compare_result)),
    ]  # fmt: skip


def _coco_seeds() -> list[bytes]:
    views: list[dict[str, object]] = [
        {},
        {"altitude_m": 50.0, "pitch_deg": 60, "focal_px": 55.5},
        {"altitude_m": 50, "down": [0.0, 0.6, 0.8]},
    ]
    return [_coco(view) for view in views]


def _coco(view: dict[str, object]) -> bytes:
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48, **view}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 12], "area": 120, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 3, "bbox": [5, 5, 9, 9], "area": 81, "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "car"}],
    }
    return json.dumps(content).encode()


def _read_truth(dataset: Dataset) -> object:
    return dataset.read(choose_classes(dataset.categories, ("car", "pedestrian"), None))


def _read_coco(data: bytes, folder: Path) -> object:
    (folder / "a.jpg").write_bytes(_PICTURE)
    return from_file(lambda path: _read_truth(coco_dataset(path, fov_deg=60.0)))(data, folder)


def _read_visdrone(data: bytes, folder: Path) -> object:
    for name, suffix, content in (("images", ".jpg", _PICTURE), ("annotations", ".txt", data)):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / f"a{suffix}").write_bytes(content)
    return _read_truth(visdrone_dataset(folder))


def _read_uavdt(data: bytes, folder: Path) -> object:
    images, labels = folder / "UAV-benchmark-M" / "M0203", folder / "GT"
    for each in (images, labels):
        each.mkdir(exist_ok=True, parents=True)
    (images / "img000001.jpg").write_bytes(_PICTURE)
    (labels / "M0203_gt_whole.txt").write_bytes(data)
    return _read_truth(uavdt_dataset(folder, "all"))


def _pairs_seeds() -> list[bytes]:
    names = {"a": "a.jpg", "b": "b.jpg"}
    posed = names | {"K_a": _K, "K_b": _K, "T_ab": _IDENTITY}
    flat = names | {"H_ab": np.eye(3).tolist()}
    return [json.dumps({"pairs": [posed, flat]}).encode()]


def _poses_seeds() -> list[bytes]:
    by_name = {"a.jpg": {"T_enu_cam": _IDENTITY}, "b.jpg": _IDENTITY}
    return [json.dumps({"poses": by_name}).encode(), b"1.5 1 2 3 0 0 0 1\n"]


def _suffix(data: bytes) -> str:
    return "json" if data.lstrip()[:1] == b"{" else "txt"


def _read_poses(data: bytes, folder: Path) -> object:
    return from_file(read_poses, f"poses.{_suffix(data)}")(data, folder)


def _read_altitude(data: bytes, folder: Path) -> object:
    return from_file(lambda path: read_altitude(str(path)), f"altitudes.{_suffix(data)}")(data, folder)


def _altitude_seeds() -> list[bytes]:
    by_name = {"a.jpg": {"exif": {"RelativeAltitude": "+50.1"}}}
    return [json.dumps({"poses": by_name}).encode(), b"1.5 50.0\n2.5 51.0\n"]


def _read_kitti(data: bytes, folder: Path) -> object:
    times, projection, pose = (*data.split(b"\x00", 2), b"", b"")[:3]
    sequence = folder / "sequences" / "00"
    for each in (sequence / "image_0", folder / "poses"):
        each.mkdir(exist_ok=True, parents=True)
    for number in range(3):
        (sequence / "image_0" / f"{number:06}.png").write_bytes(_PICTURE)
    (sequence / "times.txt").write_bytes(times)
    (sequence / "calib.txt").write_bytes(b"P0: " + projection)
    (folder / "poses" / "00.txt").write_bytes(b"\n".join([pose] * 3))
    return read_kitti(sequence, FrameTiming())


def _calibration_seeds() -> list[bytes]:
    ros = (
        b"image_width: 640\nimage_height: 480\ncamera_name: camera\ndistortion_model: plumb_bob\n"
        b"camera_matrix: {rows: 3, cols: 3, data: [500, 0, 320, 0, 500, 240, 0, 0, 1]}\n"
        b"distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    opencv = (
        b"%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n"
        b"   dt: d\n   data: [500., 0., 320., 0., 500., 240., 0., 0., 1.]\ndistortion_coefficients: !!opencv-matrix\n"
        b"   rows: 1\n   cols: 5\n   dt: d\n   data: [0.1, 0., 0., 0., 0.]\n"
    )
    short = b"width: 640\nheight: 480\nK: [500, 500, 320, 240]\nD: [0.1, 0, 0, 0]\n"
    return [ros, opencv, short]


def _parameter_seeds() -> list[bytes]:
    shipped = find_config("perception.yaml").read_bytes()
    nested = b"/**:\n  ros__parameters:\n    max_side: 320\nyolc_node:\n  ros__parameters: {lsm: none}\n"
    return [shipped, nested]


def _read_parameters(data: bytes, folder: Path) -> object:
    path = folder / "parameters.yaml"
    path.write_bytes(data)
    return read_parameters(path, "yolc_node", YolcParameters), read_parameters(path, "loftr_node", LoftrParameters)


def _model_seeds() -> list[bytes]:
    return [find_config(f"models/{name}.yaml").read_bytes() for name in ("yolc_lite", "loftr_lite")]


def _read_model(data: bytes, folder: Path) -> object:
    return from_file(partial(load_yaml, YolcConfig if b"class_names" in data else LoFTRConfig), "model.yaml")(
        data, folder
    )


def _network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))


def _safetensors_seeds() -> list[bytes]:
    return [safetensors.torch.save(_network().state_dict(), metadata={"model": "x"})]


def _checkpoint_seeds() -> list[bytes]:
    state = _network().state_dict()
    wrapped = {"state_dict": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}
    return [_saved(state), _saved(wrapped)]


def _read_weights(name: str) -> Callable[[bytes, Path], object]:
    return from_file(lambda path: load_weights(_network(), path), name)


def _run_state() -> RunState:
    network = _network()
    return RunState(network, torch.optim.SGD(network.parameters(), 0.1), WeightAverage(network, 0.9))


def _run_checkpoint() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        _run_state().save(path, Processes())
        return path.read_bytes()


def _read_run(data: bytes, folder: Path) -> object:
    path = folder / "checkpoint.pt"
    path.write_bytes(data)
    _run_state().load(path, Processes())
    return None


def _result_seeds() -> list[bytes]:
    facts = Provenance(
        "bag", "0", {"yolc_lite": "1"}, {"yolc_node": {}}, "2", "3", {"torch": "2"}, "x86_64 Linux, 2 cores"
    )
    timing = Timing((StageTimes("network", (0, 1), (0.1, 0.2)),))
    result = ReplayResult(
        kind="offline",
        out="answers",
        image_topic="/image",
        frames=2,
        seconds=1.0,
        topics={"yolc/detections": 2},
        answers=(NodeAnswers("yolc_node", 2, missed=(1,)),),
        timing=timing,
        provenance=facts,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        write_result(path, result)
        return [path.read_bytes()]


def _compare_result(path: Path) -> object:
    result = read_result(path)
    return compare(result, result), list(setup_differences(result, result))


def _saved(content: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()
