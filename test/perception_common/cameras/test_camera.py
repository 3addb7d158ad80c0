import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.cameras.camera import Camera
from perception_common.errors import InputError

K = (500.0, 0, 330.5, 0, 510.0, 235.0, 0, 0, 1)
PLUMB_BOB = (-0.28, 0.09, 0.001, -0.0005, -0.01)
RATIONAL = (0.4, -0.1, 0.0005, 0.0003, 0.01, 0.65, -0.05, 0.02)
EQUIDISTANT = (-0.02, 0.006, -0.003, 0.0005)
TURN = tuple(cv2.Rodrigues(np.array([0.02, -0.05, 0.01]))[0].ravel())
RECTIFIED = (450.0, 0, 310.0, 0, 450.0, 240.0, 0, 0, 1)

CAMERAS = {
    "pinhole": Camera(640, 480, K),
    "plumb_bob": Camera(640, 480, K, PLUMB_BOB),
    "plumb_bob of four": Camera(640, 480, K, PLUMB_BOB[:4]),
    "rational": Camera(640, 480, K, RATIONAL, "rational_polynomial"),
    "equidistant": Camera(640, 480, K, EQUIDISTANT, "equidistant"),
    "rectified elsewhere": Camera(640, 480, K, PLUMB_BOB, R=TURN, K_rectified=RECTIFIED),
    "equidistant, rectified elsewhere": Camera(640, 480, K, EQUIDISTANT, "equidistant", TURN, RECTIFIED),
    "turned pinhole": Camera(640, 480, K, R=TURN, K_rectified=RECTIFIED),
}
each_camera = pytest.mark.parametrize("camera", CAMERAS.values(), ids=CAMERAS.keys())


def camera_info(**changes) -> SimpleNamespace:
    """A CameraInfo as published by the driver of a 640x480 camera."""
    fields = {
        "width": 640,
        "height": 480,
        "distortion_model": "plumb_bob",
        "d": list(PLUMB_BOB),
        "k": np.array(K),
        "r": np.eye(3).ravel(),
        "p": np.zeros(12),
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }
    return SimpleNamespace(**{**fields, **changes})


def pixels_of(camera: Camera, step: int = 16) -> np.ndarray:
    """A grid of pixels over the image, (N, 2) float64."""
    x, y = np.meshgrid(np.arange(0, camera.width, step), np.arange(0, camera.height, step))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(float)


def opencv_undistort(camera: Camera, points: np.ndarray) -> np.ndarray:
    D, R, P = np.array(camera.distortion), camera.rotation, camera.rectified_matrix
    if camera.model == "equidistant":
        return cv2.fisheye.undistortPoints(points[:, None], camera.matrix, D, R=R, P=P)[:, 0]
    exact = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-14)
    return cv2.undistortPointsIter(points[:, None], camera.matrix, D, R, P, exact)[:, 0]


# --- points -----------------------------------------------------------------------------------------------------


@each_camera
def test_undistorted_pixels_equal_opencv(camera):
    points = pixels_of(camera)
    np.testing.assert_allclose(camera.undistort(points), opencv_undistort(camera, points), atol=1e-5)


@each_camera
def test_rays_are_the_undistorted_pixels_normalised(camera):
    points = pixels_of(camera)
    homogeneous = np.c_[camera.undistort(points), np.ones(len(points))] @ np.linalg.inv(camera.rectified_matrix).T
    np.testing.assert_allclose(camera.rays(points), homogeneous[:, :2], atol=1e-9)


@each_camera
@settings(deadline=None, max_examples=30)
@given(points=st.lists(st.tuples(st.floats(0, 639), st.floats(0, 479)), max_size=20))
def test_distort_inverts_undistort(camera, points):
    points = np.array(points).reshape(-1, 2)
    undistorted = camera.undistort(points)
    assert undistorted.dtype == np.float64
    np.testing.assert_allclose(camera.distort(undistorted), points, atol=1e-4)


def test_a_distorted_pixel_follows_the_formula_of_the_model():
    x, y = 0.3, -0.2
    r2 = x * x + y * y
    k1, k2, p1, p2, k3 = PLUMB_BOB
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    pixel = [[500 * xd + 330.5, 510 * yd + 235]]
    np.testing.assert_allclose(CAMERAS["plumb_bob"].rays(np.array(pixel)), [[x, y]], atol=1e-9)


def test_angles_of_an_equidistant_camera_are_proportional_to_the_radius():
    camera = Camera(640, 480, K, (0, 0, 0, 0), "equidistant")  # with four zeros r = f theta, which is not a pinhole
    rays = camera.rays(np.array([[330.5 + 500 * 0.5, 235.0], [330.5, 235.0 - 510 * 0.4]]))
    np.testing.assert_allclose(rays, [[np.tan(0.5), 0], [0, -np.tan(0.4)]], atol=1e-9)


def test_points_where_the_distortion_has_no_inverse_have_no_ray():
    fisheye = Camera(640, 480, K, EQUIDISTANT, "equidistant")
    behind = np.array([[330.5 + 500 * 2.5, 235.0], [330.5, 235.0]])  # 143 degrees off the axis, and the axis
    assert np.isnan(fisheye.rays(behind)).all(axis=1).tolist() == [True, False]
    barrel = CAMERAS["plumb_bob"]  # its polynomial is not monotonic up to that radius
    assert np.isnan(barrel.undistort(np.array([[5000.0, 235.0]]))).all()


@each_camera
def test_empty_arrays_of_points_are_accepted(camera):
    for method in (camera.rays, camera.undistort, camera.distort):
        result = method(np.empty((0, 2), np.float32))
        assert result.shape == (0, 2)
        assert result.dtype == np.float64


# --- images -----------------------------------------------------------------------------------------------------


@each_camera
def test_a_rectified_image_shows_points_at_their_undistorted_pixels(camera):
    spots = np.array([[150, 130], [320, 240], [470, 150], [200, 350], [480, 340]])
    image = np.zeros((480, 640), np.uint8)
    for x, y in spots:
        cv2.circle(image, (int(x), int(y)), 6, 255, -1)
    rectified = camera.rectify(image)
    _, _, _, centres = cv2.connectedComponentsWithStats((rectified > 127).astype(np.uint8))
    found, expected = centres[1:], camera.undistort(spots)
    assert len(found) == len(spots)
    distances = np.linalg.norm(found[:, None] - expected, axis=2).min(axis=0)
    assert distances.max() < 0.6  # distortion moves a disk's centroid slightly


def test_an_already_rectified_image_is_returned_unchanged():
    image = np.zeros((480, 640, 3), np.uint8)
    assert CAMERAS["pinhole"].rectify(image) is image
    assert Camera(640, 480, K, (0.0,) * 5, K_rectified=K).rectify(image) is image
    assert CAMERAS["turned pinhole"].rectify(image) is not image


def test_an_image_of_another_size_is_refused():
    camera = CAMERAS["plumb_bob"]
    assert camera.matches_size(640, 480)
    assert not camera.matches_size(480, 640)
    with pytest.raises(InputError, match="image is 320x240, but camera_info is for 640x480"):
        camera.rectify(np.zeros((240, 320), np.uint8))


def bend_of(corners: np.ndarray, across: int) -> float:
    """The largest distance, in pixels, of chessboard corners from a straight line fitted to each row of `across`."""
    rows = corners.reshape(-1, across, 2)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return float(np.linalg.svd(rows, compute_uv=True)[1][:, 1].max() / np.sqrt(across))


@pytest.mark.parametrize("name", ["left01", "left05", "left14"])
def test_lines_of_a_real_chessboard_become_straight(shared_data, name):
    folder = shared_data / "opencv_stereo_calib"
    storage = cv2.FileStorage(str(folder / "left_intrinsics.yml"), cv2.FILE_STORAGE_READ)
    matrix, distortion = (storage.getNode(node).mat() for node in ("camera_matrix", "distortion_coefficients"))
    camera = Camera.from_matrix(matrix, 640, 480, distortion)
    image = cv2.imread(str(folder / "images" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)

    def find_corners(image: np.ndarray) -> np.ndarray:
        found, corners = cv2.findChessboardCorners(image, (9, 6))
        assert found
        return cv2.cornerSubPix(image, corners, (5, 5), (-1, -1), (cv2.TERM_CRITERIA_EPS, 30, 0.01))[:, 0]

    bent, straight = find_corners(image), find_corners(camera.rectify(image))
    assert bend_of(straight, 9) < 0.5 * bend_of(bent, 9)
    assert bend_of(camera.undistort(bent), 9) < 0.5 * bend_of(bent, 9)
    np.testing.assert_allclose(camera.undistort(bent), straight, atol=0.5)


# --- camera_info ------------------------------------------------------------------------------------------------


def test_a_camera_info_is_read():
    camera = Camera.from_camera_info(camera_info())
    assert camera == CAMERAS["plumb_bob"]
    assert hash(camera) == hash(CAMERAS["plumb_bob"])
    np.testing.assert_array_equal(camera.matrix, np.array(K).reshape(3, 3))
    np.testing.assert_array_equal(camera.rectified_matrix, camera.matrix)  # P is not filled


def test_the_rectified_matrix_is_p_if_it_is_filled():
    p = np.hstack([np.array(RECTIFIED).reshape(3, 3), [[-45.0], [0], [0]]])  # the right camera of a pair
    camera = Camera.from_camera_info(camera_info(p=p.ravel(), r=np.array(TURN)))
    assert camera.R == TURN
    np.testing.assert_array_equal(camera.rectified_matrix, np.array(RECTIFIED).reshape(3, 3))
    assert camera.rectified() == Camera(640, 480, RECTIFIED)
    assert camera.rectified().is_rectified


@pytest.mark.parametrize(
    ("model", "d", "expected"),
    [
        ("plumb_bob", [], CAMERAS["pinhole"]),
        ("", [], CAMERAS["pinhole"]),
        ("rational_polynomial", list(RATIONAL), CAMERAS["rational"]),
        ("equidistant", list(EQUIDISTANT), CAMERAS["equidistant"]),
        ("fisheye", list(EQUIDISTANT), CAMERAS["equidistant"]),
    ],
)
def test_every_model_is_read(model, d, expected):
    assert Camera.from_camera_info(camera_info(distortion_model=model, d=d)) == expected


def test_an_unset_rotation_is_the_identity():
    assert Camera.from_camera_info(camera_info(r=np.zeros(9))) == CAMERAS["plumb_bob"]


def test_a_region_of_interest_moves_the_principal_point():
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=320, height=240, do_rectify=False)
    whole, part = CAMERAS["plumb_bob"], Camera.from_camera_info(camera_info(roi=roi))
    assert part.matches_size(320, 240)
    points = pixels_of(part)
    np.testing.assert_allclose(part.rays(points), whole.rays(points + np.array([100, 40])), atol=1e-9)


def test_binning_divides_the_pixels():
    roi = SimpleNamespace(x_offset=100, y_offset=40, width=320, height=240, do_rectify=False)
    p = np.hstack([np.array(RECTIFIED).reshape(3, 3), np.zeros((3, 1))]).ravel()
    camera = Camera.from_camera_info(camera_info(roi=roi, binning_x=2, binning_y=4, p=p))
    assert camera.matches_size(160, 60)
    np.testing.assert_allclose(camera.matrix, [[250, 0, 115.25], [0, 127.5, 48.75], [0, 0, 1]])
    np.testing.assert_allclose(camera.rectified_matrix, [[225, 0, 105], [0, 112.5, 50], [0, 0, 1]])


@each_camera
def test_a_scaled_camera_matches_a_resized_image(camera):
    half = camera.scaled(0.5, 0.5)
    assert half.matches_size(320, 240)
    points = pixels_of(half)
    np.testing.assert_allclose(half.rays(points), camera.rays(2 * points + 0.5), atol=1e-7)
    np.testing.assert_allclose(2 * half.undistort(points) + 0.5, camera.undistort(2 * points + 0.5), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": np.zeros(9)}, "not calibrated: the focal lengths in K are 0 and 0"),
        ({"k": np.array([np.nan, *K[1:]])}, "not calibrated: K holds NaN"),
        ({"k": np.array([-500.0, *K[1:]])}, "not calibrated: the focal lengths"),
        ({"k": np.array([500.0, 3.0, *K[2:]])}, "must have the form"),
        ({"p": np.array([np.nan, *[0.0] * 11])}, "not calibrated: P holds NaN"),
        ({"p": np.array([450.0, *[0.0] * 11])}, "not calibrated: the focal lengths in P"),
        ({"d": [np.nan, 0, 0, 0, 0]}, "D holds NaN"),
        ({"d": [0.1, 0.2]}, "plumb_bob takes 4 or 5 coefficients in D, not 2"),
        ({"d": list(PLUMB_BOB), "distortion_model": "equidistant"}, "equidistant takes 4 coefficients in D, not 5"),
        ({"d": [np.inf] * 5}, "D holds NaN or infinity"),
        ({"distortion_model": "ds"}, "'ds'; known are plumb_bob, rational_polynomial, equidistant"),
        ({"r": np.full(9, 0.5)}, "R is not a rotation"),
        ({"width": 0, "height": 0}, "image size is 0x0"),
    ],
)
def test_invalid_calibrations_are_refused_in_one_line(changes, words):
    with pytest.raises(InputError, match=words) as error:
        Camera.from_camera_info(camera_info(**changes))
    assert "\n" not in str(error.value)


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(InputError, match="K has 4 values, not 9"):
        Camera(640, 480, (500.0, 510.0, 330.5, 235.0))


def test_cameras_are_hashable_values():
    camera = CAMERAS["plumb_bob"]
    assert Camera.from_matrix(camera.matrix, 640, 480, np.array([PLUMB_BOB])) == camera
    assert camera != CAMERAS["pinhole"]
    camera.matrix[0, 0] = 1.0
    assert camera.K == K
    with pytest.raises(dataclasses.FrozenInstanceError):
        camera.width = 3


def test_a_ros_message_is_read():
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    info = sensor_msgs.CameraInfo(width=640, height=480, distortion_model="plumb_bob", d=PLUMB_BOB, k=np.array(K))
    assert Camera.from_camera_info(info) == CAMERAS["plumb_bob"]
