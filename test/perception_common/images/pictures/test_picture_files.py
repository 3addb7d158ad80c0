"""One reader for picture files, compared with Pillow: orientation, bit depths, alpha, palettes, gray."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from perception_common.images.intensity import Intensity
from perception_common.images.pictures.exif import turn_upright
from perception_common.images.pictures.files import (
    decode_rgb,
    read_depth,
    read_gray,
    read_picture,
    read_rgb,
    read_size,
)
from perception_common.images.pictures.header import read_header

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")

SAVED = {  # suffix: Pillow's format and options
    ".jpg": ("JPEG", {"quality": 95}),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".tiff": ("TIFF", {}),
}


def rgb(height: int = 60, width: int = 90) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 4), None, 0, 255, cv2.NORM_MINMAX)


def save(path: Path, picture, orientation: int = 1) -> Path:
    name, options = SAVED[path.suffix]
    if path.suffix == ".tiff":
        picture.save(path, name, tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        picture.save(path, name, exif=exif.tobytes(), **options)
    return path


def as_pillow_shows(path: Path, mode: str = "RGB") -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert(mode))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", SAVED)
def test_pictures_are_turned_upright_in_colour_and_gray(tmp_path, suffix, orientation):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(rgb()), orientation)
    expected = as_pillow_shows(path)
    assert expected.shape[:2] == ((90, 60) if orientation >= 5 else (60, 90))
    assert read_size(path) == expected.shape[1::-1]
    tolerance = 4 if suffix == ".jpg" else 0  # two decoders of JPEG
    assert read_rgb(path).shape == expected.shape
    assert np.abs(read_rgb(path).astype(int) - expected).max() <= tolerance
    assert np.array_equal(decode_rgb(np.fromfile(path, np.uint8), "a"), read_rgb(path))
    assert np.array_equal(read_picture(path).image[..., ::-1], read_rgb(path))
    assert np.abs(read_gray(path).astype(int) - as_pillow_shows(path, "L")).max() <= tolerance + 1
    assert read_picture(path).orientation == orientation
    if suffix != ".tiff":
        stored = np.asarray(Image.open(path).convert("L"))
        assert np.abs(read_gray(path, upright=False).astype(int) - stored).max() <= tolerance + 1


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_tiffs_of_more_bits_are_turned_too(tmp_path, kind, orientation, quarter_turns):
    ramp = np.arange(6 * 9, dtype=kind).reshape(6, 9) * 1000
    path = tmp_path / "a.tiff"
    Image.fromarray(ramp).save(path, tiffinfo={274: orientation})
    shown = np.rot90(ramp, quarter_turns)
    found = read_gray(path)
    assert found.shape == shown.shape
    assert np.corrcoef(found.ravel(), shown.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it(orientation):
    stored = Image.fromarray(rgb(5, 7))
    exif = stored.getexif()
    exif[274] = orientation
    data = io.BytesIO()
    stored.save(data, "PNG", exif=exif.tobytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(data)))
    assert np.array_equal(turn_upright(rgb(5, 7), orientation), expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(tmp_path, value):
    path = save(tmp_path / "a.jpg", Image.fromarray(rgb()), value)
    assert (read_picture(path).orientation, read_rgb(path).shape) == (1, (60, 90, 3))


MODES = {
    "1": 0,
    "L": 0,
    "P": 0,
    "LA": 0,
    "RGBA": 0,
    "CMYK": 2,
}


@pytest.mark.parametrize("mode", MODES)
def test_alpha_is_left_out_and_palettes_are_resolved(tmp_path, mode):
    picture = Image.fromarray(rgb()).convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(7)
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    picture.save(path)
    assert np.abs(read_rgb(path).astype(int) - as_pillow_shows(path)).max() <= MODES[mode]
    assert np.abs(read_gray(path).astype(int) - as_pillow_shows(path).astype(float) @ [0.299, 0.587, 0.114]).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_16_bit_files_are_shown_in_the_range_that_they_use(tmp_path, suffix, bits):
    gray = rgb()[..., 0].astype(np.uint16) * 2 ** (bits - 8)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), gray)
    for image in (read_gray(tmp_path / f"a{suffix}"), read_rgb(tmp_path / f"a{suffix}")[..., 1]):
        assert np.corrcoef(image.ravel(), gray.ravel())[0, 1] > 0.995
        assert (np.quantile(image, 0.005), np.quantile(image, 0.995)) == (0, 255)
    cv2.imwrite(str(tmp_path / f"b{suffix}"), rgb()[..., ::-1].astype(np.uint16) * 2 ** (bits - 8))
    assert np.array_equal(read_rgb(tmp_path / f"b{suffix}"), rgb())


def test_the_files_of_a_sequence_share_one_window(tmp_path):
    """The second file alone would be shown brighter."""
    dim, bright = rgb()[..., 0].astype(np.uint16) * 8, rgb()[..., 0].astype(np.uint16) * 16
    cv2.imwrite(str(tmp_path / "1.png"), bright)
    cv2.imwrite(str(tmp_path / "2.png"), dim)
    intensity = Intensity()
    read_picture(tmp_path / "1.png", intensity, 10**9)
    together = read_picture(tmp_path / "2.png", intensity, 10**9 + 10**8).image
    assert together.max() < 160
    assert read_picture(tmp_path / "2.png").image.max() == 255


def test_a_float_picture_is_shown_in_its_range(tmp_path):
    values = rgb()[..., 0] / 255
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "a.tiff")
    for image in (read_gray(tmp_path / "a.tiff"), read_rgb(tmp_path / "a.tiff")[..., 1]):
        assert np.corrcoef(image.ravel(), values.ravel())[0, 1] > 0.99
    cv2.imwrite(str(tmp_path / "b.tiff"), (rgb() / 255).astype(np.float32))
    assert (
        np.corrcoef(read_gray(tmp_path / "b.tiff").ravel(), cv2.cvtColor(rgb(), cv2.COLOR_BGR2GRAY).ravel())[0, 1]
        > 0.99
    )
    assert np.corrcoef(read_rgb(tmp_path / "b.tiff")[..., ::-1].ravel(), rgb().ravel())[0, 1] > 0.99


def test_8_bit_files_are_read_as_opencv_reads_them(tmp_path):
    for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"):
        path = str(tmp_path / f"a{suffix}")
        cv2.imwrite(path, rgb())
        assert np.array_equal(read_picture(Path(path)).image, cv2.imread(path, cv2.IMREAD_COLOR))
        assert np.array_equal(read_gray(Path(path)), cv2.imread(path, cv2.IMREAD_GRAYSCALE))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("TIFF", {}), ("PPM", {}), ("GIF", {}),
        ("WEBP", {"lossless": True}), ("WEBP", {"quality": 80}), ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
        ("JPEG2000", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (257, 3), (90, 301)])
def test_sizes_are_read_from_the_header(name, options, size):
    data = io.BytesIO()
    Image.fromarray(rgb(size[1], size[0])).save(data, name, **options)
    header = read_header(data.getvalue())
    assert (header.width, header.height) == size


def test_depth_is_read_as_stored(tmp_path):
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    cv2.imwrite(str(tmp_path / "a.png"), depth)
    assert np.array_equal(read_depth(tmp_path / "a.png"), depth)
    cv2.imwrite(str(tmp_path / "b.png"), depth.astype(np.uint8))
    with pytest.raises(InputError, match=r"b\.png: is no depth image"):
        read_depth(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not an image"),
        (b"\0\0\0\x18ftypheic" + bytes(300), "is not an image"),
        (cv2.imencode(".jpg", rgb())[1].tobytes()[:900], "is truncated: 900 bytes without an end mark"),
        (None, "is missing or no file"),
    ],
    ids=["empty", "text", "heic", "cut", "folder"],
)
@pytest.mark.parametrize("read", [read_gray, read_rgb, read_picture, read_depth])
def test_the_file_and_the_cause_are_named(tmp_path, read, content, cause):
    path = tmp_path / "a.jpg"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg: {cause}"):
        read(path)
