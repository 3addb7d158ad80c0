"""Miniature folders in the formats of public datasets, with known poses."""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from replay_ros.bags.reader import open_bag


def make_pose(rotation_vector, position):
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotation_vector).as_matrix()
    T[:3, 3] = position
    return T


def write_image(path, value=50, size=(32, 24), gray=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0]) if gray else (size[1], size[0], 3)
    cv2.imwrite(str(path), np.full(shape, value, np.uint8))


@pytest.fixture
def read_bag():
    """Return a function: folder of a bag -> its messages by topic, without the leading slash."""
    return _read_bag


@pytest.fixture
def matrix_of():
    """Return a function: PoseStamped -> (4, 4), by scipy."""
    return _matrix_of


def _read_bag(path: Path):
    found = defaultdict(list)
    with open_bag(path) as bag:
        for item in bag.messages():
            found[item.topic[1:]].append(item)
    return dict(found)


def _matrix_of(message):
    p, q = message.pose.position, message.pose.orientation
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    T[:3, 3] = p.x, p.y, p.z
    return T


@pytest.fixture
def kitti(tmp_path):
    """Sequence 03 with a colour and a gray camera and three poses; returns (folder, poses of camera 0)."""
    folder = tmp_path / "dataset" / "sequences" / "03"
    for number in range(3):
        write_image(folder / "image_2" / f"{number:06d}.png", 40 + number)
        write_image(folder / "image_0" / f"{number:06d}.png", 80 + number, gray=True)
    (folder / "times.txt").write_text("0.000000e+00\n1.036224e-01\n2.071945e-01\n")
    # The numbers of sequence 00, whose cameras are displaced along all three axes.
    K = "718.856 0 607.1928 {} 0 718.856 185.2157 {} 0 0 1 {}"
    columns = {"P0": (0, 0, 0), "P2": (45.38225, -0.1130887, 0.003779761)}
    (folder / "calib.txt").write_text("".join(f"{name}: {K.format(*t)}\n" for name, t in columns.items()))
    poses = [make_pose([0, 0.01 * n, 0.002 * n], [0.05 * n, -0.02 * n, 0.86 * n]) for n in range(3)]
    (tmp_path / "dataset" / "poses").mkdir()
    lines = [" ".join(f"{value:.12e}" for value in T[:3].ravel()) for T in poses]
    (tmp_path / "dataset" / "poses" / "03.txt").write_text("\n".join(lines) + "\n")
    return folder, poses


@pytest.fixture
def tum(tmp_path):
    """Three images, three depth images between them, and poses every 10 ms."""
    folder = tmp_path / "rgbd_dataset_freiburg1_xyz"
    stamps = ["1305031102.175304", "1305031102.211214", "1305031102.243211"]
    depths = ["1305031102.160407", "1305031102.194330", "1305031102.226738"]
    for number, (stamp, depth) in enumerate(zip(stamps, depths, strict=True)):
        write_image(folder / "rgb" / f"{stamp}.png", 30 * number, (640, 480))
        (folder / "depth").mkdir(exist_ok=True)
        image = np.full((480, 640), 5000 + number, np.uint16)
        image[0, 0] = 0
        cv2.imwrite(str(folder / "depth" / f"{depth}.png"), image)
    heading = "# color images\n# file: 'rgbd_dataset_freiburg1_xyz.bag'\n# timestamp filename\n"
    (folder / "rgb.txt").write_text(heading + "".join(f"{stamp} rgb/{stamp}.png\n" for stamp in stamps))
    (folder / "depth.txt").write_text(heading + "".join(f"{stamp} depth/{stamp}.png\n" for stamp in depths))
    rows = []
    for number in range(10):
        x, y, z, w = Rotation.from_rotvec([0.3, 0.05 * number, 0]).as_quat()
        rows.append(f"1305031102.{160000 + 10000 * number} {0.1 * number:.4f} 1 2 {x:.9f} {y:.9f} {z:.9f} {w:.9f}\n")
    (folder / "groundtruth.txt").write_text("# ground truth trajectory\n" + "".join(rows))
    return folder


def write_sensor(folder, T_BS, extra=""):
    folder.mkdir(parents=True, exist_ok=True)
    data = ", ".join(f"{value:.12f}" for value in T_BS.ravel())
    (folder / "sensor.yaml").write_text(
        f"#Default\nsensor_type: any\nT_BS:\n  cols: 4\n  rows: 4\n  data: [{data}]\n{extra}"
    )


EUROC_CAMERA = """\
rate_hz: 20
resolution: [32, 24]
camera_model: pinhole
intrinsics: [20.5, 20.25, 15.75, 11.5] #fu, fv, cu, cv
distortion_model: {}
distortion_coefficients: [{}]
"""


@pytest.fixture
def euroc(tmp_path):
    """Two cameras, of which one is a fisheye, IMU and truth; returns (folder, T_BS of each, poses of the truth)."""
    mav = tmp_path / "MH_01_easy" / "mav0"
    mounts = {
        "cam0": make_pose([0, 0, 1.57], [-0.02, -0.06, 0.01]),
        "cam1": make_pose([0.01, 0, 1.56], [-0.02, 0.05, 0.01]),
        "imu0": np.eye(4),
        "state_groundtruth_estimate0": make_pose([0.2, 0, 0], [0.01, 0, 0.02]),
    }
    stamps = [1403636579763555584, 1403636579813555456, 1403636579863555584]
    cameras = {
        "cam0": ("radial-tangential", "-0.28, 0.07, 0.0002, 1.7e-05"),
        "cam1": ("equidistant", "0.01, -0.02, 0.003, -0.001"),
    }
    for name, (model, coefficients) in cameras.items():
        write_sensor(mav / name, mounts[name], EUROC_CAMERA.format(model, coefficients))
        for number, stamp in enumerate(stamps):
            write_image(mav / name / "data" / f"{stamp}.png", 60 * number, gray=True)
        (mav / name / "data.csv").write_text(
            "#timestamp [ns],filename\r\n" + "".join(f"{stamp},{stamp}.png\r\n" for stamp in stamps)
        )
    write_sensor(mav / "imu0", mounts["imu0"])
    samples = [f"{stamps[0] + 5_000_000 * n},{0.01 * n},-0.02,0.03,9.1,0.2,{-3 + n}\n" for n in range(-1, 30)]
    (mav / "imu0" / "data.csv").write_text("#timestamp [ns],w,w,w,a,a,a\n" + "".join(samples))
    truth = mav / "state_groundtruth_estimate0"
    write_sensor(truth, mounts["state_groundtruth_estimate0"])
    poses = [make_pose([0.1, 0.2 * n, 0], [4.6 + n, -1.7, 0.8]) for n in range(3)]
    lines = []
    for stamp, T in zip(stamps, poses, strict=True):
        x, y, z, w = Rotation.from_matrix(T[:3, :3]).as_quat().tolist()
        values = [*T[:3, 3].tolist(), w, x, y, z, *[0.0] * 9]
        lines.append(",".join([str(stamp), *(f"{value:.12f}" for value in values)]) + "\n")
    (truth / "data.csv").write_text("#timestamp, p_RS_R_x [m], ...\n" + "".join(lines))
    return mav.parent, mounts, poses


@pytest.fixture
def visdrone(tmp_path):
    """A split with one sequence of three frames, the second without objects."""
    split = tmp_path / "VisDrone2019-VID-val"
    for number in (1, 2, 3):
        write_image(split / "sequences" / "uav1_v" / f"{number:07d}.jpg", size=(96, 54))
    (split / "annotations").mkdir()
    (split / "annotations" / "uav1_v.txt").write_text(
        "1,0,10,12,20,8,1,4,0,0\n"  # a car
        "1,1,50,12,4,9,1,1,0,1\n"  # a pedestrian
        "1,2,0,0,30,10,0,0,0,0\n"  # an ignored region
        "1,3,70,30,9,9,0,5,0,0\n"  # a van that is not scored
        "1,4,80,40,9,9,1,11,0,0\n"  # others
        "3,0,12,12,20,8,1,4,0,0\n"
        "3,5,12,12,0,8,1,4,0,0\n"  # no area
    )
    return split
