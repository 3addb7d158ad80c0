import sys
import zlib
from array import array
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from perception_common.images.conversion import fill_image, is_compressed, to_gray, to_rgb
from perception_common.images.intensity import Intensity


def message(pixels: np.ndarray, encoding: str, height: int | None = None) -> SimpleNamespace:
    """An Image with the rows of `pixels`: (rows, W) or (rows, W, channels)."""
    fields = {
        "height": pixels.shape[0] if height is None else height,
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": pixels.strides[0],
        "data": array("B", pixels.tobytes()),
    }
    return SimpleNamespace(**fields)


def changed(picture: SimpleNamespace, **changes) -> SimpleNamespace:
    return SimpleNamespace(**{**vars(picture), **changes})


def compressed(data: bytes, format: str) -> SimpleNamespace:
    return SimpleNamespace(format=format, data=array("B", data))


def encode(pixels: np.ndarray, suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    """A smooth coloured image, (48, 64, 3) uint8."""
    y, x = np.mgrid[:48, :64]
    return np.stack([40 + 2.5 * x, 60 + 2 * y, 200 - x - 1.5 * y], axis=-1).round().astype(np.uint8)


@pytest.fixture(scope="module")
def gray(rgb) -> np.ndarray:
    return (rgb @ [0.299, 0.587, 0.114]).round().astype(np.uint8)


def assert_near(image: np.ndarray, expected: np.ndarray, tolerance: int) -> None:
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= tolerance


def to_ycbcr(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BT.601, video range, in floats, by the definition of the standard."""
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    return 16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402


def to_422(rgb: np.ndarray, luma_first: bool) -> np.ndarray:
    y, cb, cr = to_ycbcr(rgb)
    chroma = np.empty_like(y)
    chroma[:, 0::2] = (cb[:, 0::2] + cb[:, 1::2]) / 2
    chroma[:, 1::2] = (cr[:, 0::2] + cr[:, 1::2]) / 2
    return np.stack([y, chroma] if luma_first else [chroma, y], axis=-1).round().astype(np.uint8)


def to_420(rgb: np.ndarray, cb_first: bool) -> np.ndarray:
    y, cb, cr = to_ycbcr(rgb)
    chroma = np.empty((y.shape[0] // 2, y.shape[1]))
    for offset, plane in enumerate((cb, cr) if cb_first else (cr, cb)):
        chroma[:, offset::2] = plane.reshape(y.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
    return np.concatenate([y, chroma]).round().astype(np.uint8)


def to_444(rgb: np.ndarray) -> np.ndarray:
    y, cb, cr = to_ycbcr(rgb)
    return np.concatenate([y, np.stack([cb, cr], axis=-1).reshape(2 * y.shape[0], -1)]).round().astype(np.uint8)


def to_mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Sample one colour per pixel with a Bayer `pattern`, named by its first two rows."""
    mosaic = np.empty(rgb.shape[:2], rgb.dtype)
    for index, colour in enumerate(pattern):
        rows, columns = slice(index // 2, None, 2), slice(index % 2, None, 2)
        mosaic[rows, columns] = rgb[rows, columns, "rgb".index(colour)]
    return mosaic


def with_alpha(image: np.ndarray) -> np.ndarray:
    return np.dstack([image, np.full(image.shape[:2], 7, image.dtype)])


ENCODERS = {
    "rgb8": lambda rgb: rgb,
    "bgr8": lambda rgb: rgb[..., ::-1],
    "8UC3": lambda rgb: rgb[..., ::-1],
    "rgba8": with_alpha,
    "bgra8": lambda rgb: with_alpha(rgb[..., ::-1]),
    "8UC4": lambda rgb: with_alpha(rgb[..., ::-1]),
    "rgb16": lambda rgb: rgb.astype(np.uint16) * 256 + 255,
    "bgr16": lambda rgb: rgb[..., ::-1].astype(np.uint16) * 256,
    "bgra16": lambda rgb: with_alpha(rgb[..., ::-1]).astype(np.uint16) * 256,
    "rgba16": lambda rgb: with_alpha(rgb).astype(np.uint16) * 256,
    "16UC3": lambda rgb: rgb[..., ::-1].astype(np.uint16) * 256,
    "16UC4": lambda rgb: with_alpha(rgb[..., ::-1]).astype(np.uint16) * 256,
    "yuv422": lambda rgb: to_422(rgb, luma_first=False),
    "uyvy": lambda rgb: to_422(rgb, luma_first=False),
    "yuv422_yuy2": lambda rgb: to_422(rgb, luma_first=True),
    "yuyv": lambda rgb: to_422(rgb, luma_first=True),
    "nv12": lambda rgb: to_420(rgb, cb_first=True),
    "nv21": lambda rgb: to_420(rgb, cb_first=False),
    "nv24": lambda rgb: to_444(rgb),
    **{f"bayer_{pattern}8": lambda rgb, p=pattern: to_mosaic(rgb, p) for pattern in ("rggb", "bggr", "gbrg", "grbg")},
    **{
        f"bayer_{pattern}16": lambda rgb, p=pattern: to_mosaic(rgb, p).astype(np.uint16) * 256 + 99
        for pattern in ("rggb", "bggr", "gbrg", "grbg")
    },
}
EXACT = ("rgb8", "bgr8", "8UC3", "rgba8", "bgra8", "8UC4", "rgb16", "bgr16")
EXACT += ("rgba16", "bgra16", "16UC3", "16UC4")


@pytest.mark.parametrize("encoding", ENCODERS)
def test_colour_encodings(rgb, gray, encoding):
    picture = message(np.ascontiguousarray(ENCODERS[encoding](rgb)), encoding, height=rgb.shape[0])
    # Excluded: the border of a mosaic cannot be interpolated. Subsampled chroma may be off by half a slope.
    inside = slice(2, -2) if encoding.startswith("bayer") else slice(None)
    assert_near(to_rgb(picture)[inside, inside], rgb[inside, inside], 0 if encoding in EXACT else 5)
    assert_near(to_gray(picture)[inside, inside], gray[inside, inside], 1 if encoding in EXACT else 3)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("colour", [(200, 0, 0), (0, 200, 0), (0, 0, 200)])
def test_a_mosaic_of_one_colour_gives_that_colour_everywhere(pattern, colour):
    flat = np.full((6, 7, 3), colour, np.uint8)
    picture = message(to_mosaic(flat, pattern), f"bayer_{pattern}8")
    assert_near(to_rgb(picture), flat, 0)
    assert_near(to_gray(picture), (flat @ [0.299, 0.587, 0.114]).round(), 1)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1", "mono16"])
def test_gray_encodings(gray, encoding):
    pixels = gray.astype(np.uint16) * 256 + 17 if encoding == "mono16" else gray
    assert_near(to_gray(message(pixels, encoding), Intensity("full")), gray, 0)
    assert_near(to_rgb(message(pixels, encoding), Intensity("full")), np.dstack([gray] * 3), 0)


def test_depth_is_scaled_over_the_valid_values():
    millimetres = np.array([[0, 1000], [1500, 2000]], np.uint16)
    assert to_gray(message(millimetres, "16UC1")).tolist() == [[0, 1], [128, 255]]
    metres = np.array([[np.nan, 1.0], [1.5, 2.0], [np.inf, 0.0]], np.float32)
    assert to_gray(message(metres, "32FC1")).tolist() == [[0, 1], [128, 255], [0, 0]]
    assert to_rgb(message(metres, "32FC1"))[1].tolist() == [[128] * 3, [255] * 3]


def test_depth_with_one_valid_value_or_none_is_converted():
    assert to_gray(message(np.full((2, 2), 3.0, np.float32), "32FC1")).tolist() == [[1, 1], [1, 1]]
    assert to_gray(message(np.full((2, 2), np.nan, np.float32), "32FC1")).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "32FC1", "bayer_rggb16", "bgr16"])
def test_big_endian_samples(encoding):
    pixels = np.random.default_rng(1).integers(1, 60000, (6, 8, 3)).astype("u2")
    pixels = pixels if encoding == "bgr16" else np.ascontiguousarray(pixels[..., 0])
    pixels = pixels.astype("f4") if encoding == "32FC1" else pixels
    little = message(pixels, encoding)
    big = changed(message(pixels.astype(pixels.dtype.newbyteorder(">")), encoding), is_bigendian=1)
    assert np.array_equal(to_rgb(little), to_rgb(big))
    assert np.array_equal(to_gray(little), to_gray(big))


@settings(deadline=None, max_examples=150)
@given(
    encoding=st.sampled_from([*ENCODERS, "mono8", "mono16", "16UC1", "32FC1"]),
    size=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    padding=st.integers(0, 9),
    last_row_padded=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_padding_of_rows_is_skipped(encoding, size, padding, last_row_padded, seed):
    random = np.random.default_rng(seed)
    rgb = random.integers(0, 256, (2 * size[0], 2 * size[1], 3), dtype=np.uint8)
    samples = {"mono8": np.uint8, "mono16": np.uint16, "16UC1": np.uint16, "32FC1": np.float32}
    encoder = ENCODERS.get(encoding, lambda rgb: rgb[..., 0].astype(samples.get(encoding, np.uint8)))
    plain = message(np.ascontiguousarray(encoder(rgb)), encoding, height=rgb.shape[0])
    rows = np.frombuffer(plain.data, np.uint8).reshape(-1, plain.step)
    noise = random.integers(0, 256, (len(rows), padding), dtype=np.uint8)
    data = np.hstack([rows, noise]).tobytes()
    if padding and not last_row_padded:
        data = data[:-padding]
    padded = changed(plain, step=plain.step + padding, data=data)
    assert np.array_equal(to_rgb(padded), to_rgb(plain))
    assert np.array_equal(to_gray(padded), to_gray(plain))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: np.frombuffer(data, np.uint8)])
def test_data_may_be_any_bytes(rgb, kind):
    assert np.array_equal(to_rgb(changed(message(rgb, "rgb8"), data=kind(rgb.tobytes()))), rgb)


@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "bgr8", "mono16"])
def test_the_result_does_not_share_memory_with_the_message(rgb, gray, encoding):
    pixels = rgb if encoding in ("rgb8", "bgr8") else gray.astype("u2" if "16" in encoding else "u1")
    picture = message(pixels, encoding)
    before = bytes(picture.data)
    for image in (to_rgb(picture), to_gray(picture)):
        assert image.flags.c_contiguous
        image[:] = 0
    assert bytes(picture.data) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": array("B", bytes(100))}, "rgb8 image of 64x48 is truncated: 100 bytes of data, 9216 expected"),
        ({"data": b""}, "0 bytes of data, 9216 expected"),
        ({"height": 10**9}, "too large: 64x1000000000 pixels"),
        ({"step": 191}, "step is 191 bytes, at least 192 expected"),
        ({"step": 0}, "step is 0 bytes"),
        ({"height": 0}, "image is empty: 64x0"),
        ({"width": 0, "data": b""}, "image is empty: 0x48"),
        ({"encoding": "yuv422", "width": 63}, r"63x48: this encoding needs an even width$"),
        ({"encoding": "nv12", "height": 47}, "even width and height"),
    ],
)
def test_malformed_images_are_refused_in_one_line(rgb, changes, words):
    for convert in (to_rgb, to_gray):
        with pytest.raises(InputError, match=words) as error:
            convert(changed(message(rgb, "rgb8"), **changes))
        assert "\n" not in str(error.value)


# sensor_msgs/image_encodings.hpp, Jazzy, without two channels, signed bytes, and colours of floats or signed integers
NAMED = ["rgb8", "rgba8", "rgb16", "rgba16", "bgr8", "bgra8", "bgr16", "bgra16", "mono8", "mono16"]
MOSAICS = [f"bayer_{pattern}{bits}" for pattern in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
YUV = ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv21", "nv24"]
UNNAMED = ["8UC1", "8UC3", "8UC4", "16UC1", "16UC3", "16UC4", "16SC1", "32SC1", "32FC1", "64FC1"]


@pytest.mark.parametrize("encoding", [*NAMED, *MOSAICS, *YUV, *UNNAMED])
def test_every_encoding_of_sensor_msgs_that_holds_a_picture_is_read(encoding):
    samples = {"16S": "i2", "32S": "i4", "32F": "f4", "64F": "f8"}.get(encoding[:3], "u2" if "16" in encoding else "u1")
    channels = (
        int(encoding[-1])
        if "C" in encoding
        else {"rgb": 3, "bgr": 3, "yuv": 2, "yuy": 2, "uyv": 2}.get(encoding[:3], 1)
    )
    channels += encoding[:4] in ("rgba", "bgra")
    rows = {"nv21": 12, "nv24": 24}.get(encoding, 8)
    pixels = np.random.default_rng(0).integers(1, 100, (rows, 8, channels)).astype(samples)
    picture = message(pixels, encoding, height=8)
    assert to_rgb(picture).shape == (8, 8, 3)
    assert to_gray(picture).shape == (8, 8)


@pytest.mark.parametrize("encoding", ["8UC2", "8SC3", "32FC3", "64FC4", "rgb10"])
def test_encodings_without_a_stated_meaning_are_refused(encoding, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(InputError, match=f"'{encoding}'.*known are"):
        to_rgb(message(np.zeros((2, 2), np.uint8), encoding))


@pytest.mark.parametrize("encoding", ["mono8", "rgb8", "mono16"])
def test_more_data_than_rows_are_refused(encoding):
    picture = message(
        np.zeros((40, 64, {"rgb8": 3}.get(encoding, 1)), "u2" if encoding == "mono16" else "u1"), encoding
    )
    to_rgb(changed(picture, data=bytes(picture.data) + bytes(4096)))  # padded to a page
    with pytest.raises(InputError, match=r"bytes of data, .* expected"):
        to_rgb(changed(picture, data=bytes(picture.data) * 4 + bytes(4096)))


def test_a_message_that_claims_gigabytes_takes_no_memory():
    huge = changed(message(np.zeros((2, 2), np.uint8), "mono8"), height=65536, width=65536, step=65536)
    with pytest.raises(InputError, match="too large: 65536x65536"):
        to_rgb(huge)
    with pytest.raises(InputError, match="truncated: 4 bytes of data, 4294967294 expected"):
        to_rgb(changed(huge, height=2, width=2, step=2**31 - 1))


def test_an_unknown_encoding_lists_the_known_ones(rgb, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(InputError, match=r"'p010'.*bayer_rggb8.*yuv422_yuy2"):
        to_rgb(message(rgb, "p010"))


def test_cv_bridge_converts_unknown_encodings(rgb, gray, monkeypatch):
    class Bridge:
        def imgmsg_to_cv2(self, picture, encoding):
            if picture.encoding != "p010":
                raise RuntimeError("[p011] is not a recognized image encoding")
            assert encoding == "rgb8"
            return rgb

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=Bridge))
    assert np.array_equal(to_rgb(message(rgb, "p010")), rgb)
    assert_near(to_gray(message(rgb, "p010")), gray, 1)
    with pytest.raises(InputError, match=r"'p011'.*not a recognized"):
        to_rgb(message(rgb, "p011"))


def test_what_cv_bridge_cannot_convert_is_refused_with_its_cause(rgb, monkeypatch):
    class Bridge:
        def imgmsg_to_cv2(self, picture, encoding):
            return rgb[..., 0] if picture.encoding == "32SC2" else rgb.astype(np.float64)

    monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=Bridge))
    for encoding, words in (("32SC2", r"cv_bridge makes \(48, 64\) uint8"), ("64FC3", "float64 of it, no RGB image")):
        with pytest.raises(InputError, match=words):
            to_rgb(message(rgb, encoding))

    class Broken:
        def __getattr__(self, name):
            raise ImportError("numpy.core.multiarray failed to import")

    monkeypatch.setitem(sys.modules, "cv_bridge", Broken())
    with pytest.raises(InputError, match=r"needs cv_bridge, which fails: .*multiarray"):
        to_rgb(message(rgb, "p010"))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "bayer_rggb8", "bayer_gbrg8", "yuv422_yuy2"])
def test_equal_to_cv_bridge(rgb, encoding):
    cv_bridge = pytest.importorskip("cv_bridge")
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    ours = message(np.ascontiguousarray(ENCODERS[encoding](rgb)), encoding)
    theirs = sensor_msgs.Image(**vars(ours))
    assert_near(to_rgb(ours), cv_bridge.CvBridge().imgmsg_to_cv2(theirs, "rgb8"), 1)


# --- compressed -------------------------------------------------------------------------------------------------


def test_raw_and_compressed_messages_are_distinguished(rgb):
    assert is_compressed(compressed(b"", "jpeg"))
    assert not is_compressed(message(rgb, "rgb8"))


@pytest.mark.parametrize(
    ("format", "suffix", "tolerance"),
    [("jpeg", ".jpg", 12), ("bgr8; jpeg compressed bgr8", ".jpg", 12), ("png", ".png", 0), ("", ".png", 0)],
)
def test_compressed_colour(rgb, gray, format, suffix, tolerance):
    picture = compressed(encode(rgb[..., ::-1], suffix), format)
    assert_near(to_rgb(picture), rgb, tolerance)
    assert_near(to_gray(picture), gray, max(1, tolerance))


def test_compressed_gray(rgb, gray):
    picture = compressed(encode(gray, ".png"), "mono8; png compressed mono8")
    assert_near(to_gray(picture), gray, 0)
    assert_near(to_rgb(picture), np.dstack([gray] * 3), 0)


def test_compressed_16_bits_and_alpha(rgb, gray):
    deep = compressed(encode(gray.astype(np.uint16) * 256 + 3, ".png"), "mono16; png compressed")
    assert_near(to_gray(deep, Intensity("full")), gray, 0)
    assert_near(to_rgb(compressed(encode(with_alpha(rgb[..., ::-1]), ".png"), "png")), rgb, 0)


def test_the_format_distinguishes_mosaic_and_depth_from_gray(rgb):
    mosaic = compressed(encode(to_mosaic(rgb, "gbrg"), ".png"), "bayer_gbrg8; png compressed ")
    assert_near(to_rgb(mosaic)[2:-2, 2:-2], rgb[2:-2, 2:-2], 3)
    depth = compressed(encode(np.array([[0, 1000], [1500, 2000]], np.uint16), ".png"), "16UC1; png compressed 16UC1")
    assert to_gray(depth).tolist() == [[0, 1], [128, 255]]


def test_a_publisher_that_compressed_rgb_without_reordering(rgb):
    assert_near(to_rgb(compressed(encode(rgb, ".png"), "rgb8; png compressed rgb8")), rgb, 0)


def test_the_orientation_in_a_jpeg_is_not_applied(rgb):
    jpeg = encode(rgb[..., ::-1], ".jpg")
    rotated = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    marked = jpeg[:2] + b"\xff\xe1" + (len(rotated) + 2).to_bytes(2, "big") + rotated + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(marked, np.uint8), cv2.IMREAD_COLOR).shape == (
        64,
        48,
        3,
    )  # the mark takes effect
    assert np.array_equal(to_rgb(compressed(marked, "jpeg")), to_rgb(compressed(jpeg, "jpeg")))


@pytest.mark.parametrize("padding", [bytes(200), bytes(4096), b"\xff" * 4096, bytes(range(100))])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_padding_behind_compressed_images_is_accepted(rgb, suffix, padding):
    data = encode(rgb, suffix)
    assert np.array_equal(to_rgb(compressed(data + padding, "jpeg")), to_rgb(compressed(data, "jpeg")))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@settings(deadline=None, max_examples=40)
@given(kept=st.floats(0.0, 0.99))
def test_truncated_compressed_images_are_refused(suffix, kept):
    data = encode(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), suffix)
    with pytest.raises(InputError, match=r"truncated|cannot be decoded|empty") as error:
        to_rgb(compressed(data[: int(len(data) * kept)], suffix))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [
        (b"", "jpeg", "is empty"),
        (b"not an image at all", "jpeg", "'jpeg'.*cannot be decoded"),
        (b"\0\0\0\x01\x67", "h264", "'h264'.*JPEG and PNG"),
        (b"\0" * 12, "16UC1; compressedDepth png", "raw depth topic"),
    ],
)
def test_undecodable_images_are_refused(data, format, words):
    with pytest.raises(InputError, match=words):
        to_gray(compressed(data, format))


def test_a_png_that_claims_an_enormous_size_is_refused():
    png = bytearray(encode(np.zeros((4, 4), np.uint8), ".png"))
    png[16:24] = (60_000).to_bytes(4, "big") * 2
    png[29:33] = zlib.crc32(png[12:29]).to_bytes(4, "big")
    with pytest.raises(InputError, match="too large: 60000x60000"):
        to_rgb(compressed(bytes(png), "png"))


# --- publishing -------------------------------------------------------------------------------------------------


def test_image_messages_are_filled(rgb, gray):
    picture = SimpleNamespace()
    fill_image(picture, rgb, header="header")
    assert (picture.header, picture.height, picture.width, picture.encoding) == ("header", 48, 64, "rgb8")
    assert (picture.step, picture.is_bigendian, picture.data.typecode) == (192, 0, "B")
    assert np.array_equal(to_rgb(picture), rgb)
    fill_image(picture, gray[::2, ::2], header=None)  # not contiguous
    assert (picture.height, picture.width, picture.encoding, picture.step) == (24, 32, "mono8", 32)
    assert np.array_equal(to_gray(picture), gray[::2, ::2])


@pytest.mark.parametrize("image", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 4), np.uint8), np.zeros(4, np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(InputError, match="uint8"):
        fill_image(SimpleNamespace(), image, None)


def test_ros_messages_are_written_and_read(rgb):
    sensor_msgs = pytest.importorskip("sensor_msgs.msg")
    std_msgs = pytest.importorskip("std_msgs.msg")
    picture = sensor_msgs.Image()
    fill_image(picture, rgb, std_msgs.Header(frame_id="camera"))
    assert picture.header.frame_id == "camera"
    assert np.array_equal(to_rgb(picture), rgb)
    assert np.array_equal(to_rgb(sensor_msgs.CompressedImage(format="png", data=encode(rgb[..., ::-1], ".png"))), rgb)
