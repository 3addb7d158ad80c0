"""ScanNet and MegaDepth folders in the published layouts, with two views of a plane."""

import dataclasses
import importlib.util
import pickle
import sys

import cv2
import numpy as np
import pytest

from loftr_ros.datasets.megadepth import MegaDepthConfig, MegaDepthPairs
from loftr_ros.datasets.scannet import ScanNetConfig, ScanNetPairs
from loftr_ros.datasets.scene_info import read_scene_info
from perception_common.errors import InputError
from perception_common.training.broken_files import BrokenFiles

K = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])
DISTANCE = 4.0
T_1_0 = np.eye(4)
T_1_0[0, 3] = -0.4  # the second camera is 0.4 m to the right, which moves the image by 50 px to the left


def picture() -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((480, 640)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def write_scannet(root) -> ScanNetConfig:
    scan = root / "scans" / "scene0007_01"
    for kind in ("color", "depth", "pose"):
        (scan / kind).mkdir(parents=True)
    for stem, T_camera_world in ((10, np.eye(4)), (25, T_1_0)):
        cv2.imwrite(str(scan / "color" / f"{stem}.jpg"), picture())
        cv2.imwrite(str(scan / "depth" / f"{stem}.png"), np.full((480, 640), DISTANCE * 1000, np.uint16))
        np.savetxt(scan / "pose" / f"{stem}.txt", np.linalg.inv(T_camera_world))
    (root / "index").mkdir()
    names = np.array([[7, 1, 10, 25], [7, 1, 10, 99]])
    np.savez(root / "index" / "a.npz", name=names, score=np.array([0.9, 0.1]))
    np.savez(root / "intrinsics.npz", scene0007_01=K)
    return ScanNetConfig(root / "scans", root / "index", root / "intrinsics.npz")


def assert_moved_by(pair, pixels):
    columns = pair.image0.shape[1] // 8
    centres = np.column_stack([pair.matches.cells0 % columns, pair.matches.cells0 // columns]) * 8
    assert len(centres) > 500
    assert np.allclose(pair.matches.points1 - centres, [pixels, 0], atol=1e-3)


def test_matches_of_scannet_follow_from_the_poses(tmp_path):
    pairs = ScanNetPairs(write_scannet(tmp_path), 8, BrokenFiles())
    assert_moved_by(pairs.sample(np.random.default_rng(0), 0, 320, 240), -25.0)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("color/25.jpg", b"nothing", "cannot be decoded"),
        ("depth/25.png", b"nothing", "not an image"),
        ("pose/25.txt", b"-inf 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1", "not finite"),
        ("pose/25.txt", b"1 2 3", "no pose"),
    ],
)
def test_a_broken_file_of_scannet_is_named(tmp_path, name, content, reason):
    config = write_scannet(tmp_path)
    file = config.root / "scene0007_01" / name
    file.write_bytes(content)
    broken = BrokenFiles()
    with pytest.raises(InputError, match="pairs in a row"):
        ScanNetPairs(config, 8, broken).sample(np.random.default_rng(0), 0, 320, 240)
    assert list(broken.reasons) == [str(file)]
    assert reason in broken.reasons[str(file)]


def test_an_index_without_overlap_is_an_error(tmp_path):
    config = write_scannet(tmp_path)
    np.savez(config.index / "a.npz", name=np.array([[7, 1, 10, 25]]), score=np.array([0.1]))
    with pytest.raises(InputError, match="overlap"):
        ScanNetPairs(config, 8, BrokenFiles())


def objects(*values) -> np.ndarray:
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def write_megadepth(root) -> MegaDepthConfig:
    (root / "scenes").mkdir()
    cv2.imwrite(str(root / "a.png"), picture())
    cv2.imwrite(str(root / "b.png"), picture())
    np.savez(
        root / "scenes" / "0022_0.1_0.3.npz",
        image_paths=objects("a.png", None, "b.png"),
        depth_paths=objects("a.h5", None, "b.h5"),
        intrinsics=objects(K, None, K),
        poses=objects(np.eye(4), None, T_1_0),
        pair_infos=objects(((0, 2), 0.3, np.zeros((2, 2))), ((0, 1), 0.9, np.zeros((2, 2)))),
    )
    return MegaDepthConfig(root, root / "scenes")


@pytest.mark.skipif(importlib.util.find_spec("h5py") is None, reason="h5py is not installed")
def test_matches_of_megadepth_follow_from_the_poses(tmp_path):
    import h5py

    config = write_megadepth(tmp_path)
    for name in ("a.h5", "b.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["depth"] = np.full((480, 640), DISTANCE, np.float32)
    pairs = MegaDepthPairs(config, 8, BrokenFiles())
    assert_moved_by(pairs.sample(np.random.default_rng(0), 0, 320, 240), -25.0)


def test_the_release_uses_matches_whose_depths_differ(tmp_path):
    """The second view's depth is wrong by a tenth: a tolerance of 5 % leaves no match, the release's rule does."""
    config = write_scannet(tmp_path)
    depth = config.root / "scene0007_01" / "depth" / "25.png"
    wrong = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED).astype(np.float64) * 1.1
    cv2.imwrite(str(depth), wrong.round().astype(np.uint16))
    counts = {
        visibility: len(
            ScanNetPairs(dataclasses.replace(config, tolerance=0.05, visibility=visibility), 8, BrokenFiles())
            .sample(np.random.default_rng(0), 0, 320, 240)
            .matches.cells0
        )
        for visibility in ("depth", "release")
    }
    assert counts["depth"] == 0
    assert counts["release"] > 100


def test_without_h5py_the_error_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match="pip install h5py"):
        MegaDepthPairs(write_megadepth(tmp_path), 8, BrokenFiles())


def test_object_arrays_of_a_scene_file_are_read(tmp_path):
    write_megadepth(tmp_path)
    info = read_scene_info(tmp_path / "scenes" / "0022_0.1_0.3.npz")
    assert info["image_paths"].tolist() == ["a.png", None, "b.png"]
    assert info["pair_infos"][0][0] == (0, 2)
    assert np.array_equal(info["poses"][2], T_1_0)


def test_a_scene_file_may_be_a_pickled_dict(tmp_path):
    """The published file of the 1500 pairs of MegaDepth is named .npz but was written by pickle.dump."""
    content = {"poses": objects(T_1_0, None), "pair_infos": [(np.array([0, 1]), np.float64(0.2), np.zeros(4))]}
    (tmp_path / "0015.npz").write_bytes(pickle.dumps(content, protocol=4))
    info = read_scene_info(tmp_path / "0015.npz")
    assert np.array_equal(info["poses"][0], T_1_0)
    assert info["pair_infos"][0][0].tolist() == [0, 1]

    for broken in (pickle.dumps([1, 2]), pickle.dumps({"poses": Evil()}), b"nothing", b""):
        (tmp_path / "0015.npz").write_bytes(broken)
        with pytest.raises(InputError, match="is not a readable scene file"):
            read_scene_info(tmp_path / "0015.npz")


class Evil:
    def __reduce__(self):
        return print, ("code from a data file ran",)


def test_a_scene_file_cannot_execute_code(tmp_path, capsys):
    np.savez(tmp_path / "evil.npz", poses=objects(Evil()))
    with pytest.raises(InputError, match=r"builtins\.print"):
        read_scene_info(tmp_path / "evil.npz")
    assert capsys.readouterr().out == ""
