"""Padding is accepted; cut and damaged pictures are refused with the cause, in messages and files alike."""

import contextlib
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perception_common.errors import InputError
from perception_common.images.pictures.decode import MAX_PIXELS, decode_picture
from perception_common.images.pictures.jpeg import jpeg_segments, only_scan
from perception_common.images.pictures.jpeg_codes import BlockCodes, code_lengths, count_units


def picture(height: int = 240, width: int = 320) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)


def encode(image: np.ndarray, suffix: str = ".jpg", *options: int) -> bytes:
    return cv2.imencode(suffix, image, options)[1].tobytes()


def decode(data: bytes) -> np.ndarray:
    return decode_picture(data, "picture", cv2.IMREAD_UNCHANGED, "look")[0]


JPEGS = {
    "baseline": encode(picture()),
    "gray": encode(picture()[..., 0]),
    "progressive": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 20),
    "odd size": encode(picture(123, 77)),
    "optimised": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "flat gray": encode(np.full((240, 320, 3), 128, np.uint8)),
    "half gray": encode(np.where(np.arange(240)[:, None, None] < 120, picture(), np.uint8(128))),
    "coarse": encode(picture(), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 3),
    "tiny": encode(picture(1, 1)),
}
PADDINGS = {
    "none": b"",
    "zeros": bytes(4096),
    "0xFF": b"\xff" * 4096,
    "junk": bytes(range(256)),
    "mark": b"\xff\xd8\xff\xd9",
}


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kind", JPEGS)
def test_padding_behind_the_end_of_a_jpeg_is_accepted(kind, padding):
    data = JPEGS[kind]
    plain = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decode(data + PADDINGS[padding]), plain)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_padding_behind_other_pictures_is_accepted(suffix):
    data = encode(picture(), suffix)
    plain = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(decode(data + bytes(5000)), plain)


@pytest.mark.parametrize("padding", ["none", "zeros", "0xFF", "junk"])
@pytest.mark.parametrize("kind", ["baseline", "gray", "progressive", "restarts", "odd size"])
@settings(deadline=None, max_examples=15)
@given(kept=st.floats(0.05, 0.97))
def test_a_cut_jpeg_is_refused_also_with_padding(kind, padding, kept):
    cut = JPEGS[kind][: int(kept * len(JPEGS[kind]))].rstrip(b"\xff")
    with pytest.raises(InputError, match=r"truncated|damaged"):
        decode(cut + PADDINGS[padding])


@pytest.mark.parametrize("kind", ["baseline", "gray", "odd size", "optimised", "restarts"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8])
def test_a_jpeg_whose_lower_part_is_missing_is_refused(kind, kept):
    """The end mark is there, but not the data: libjpeg makes the rest gray."""
    cut = JPEGS[kind][: int(kept * len(JPEGS[kind]))].rstrip(b"\xff") + b"\xff\xd9"
    assert cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_UNCHANGED) is not None  # OpenCV takes it
    with pytest.raises(InputError, match=r"picture is damaged: .*(of its pixels have no data|restart marks)"):
        decode(cut)


@pytest.mark.parametrize("kind", ["baseline", "gray", "optimised"])
@pytest.mark.parametrize("how", ["random", "zeros", "removed"])
def test_a_jpeg_with_half_of_its_data_damaged_is_refused(kind, how):
    data, middle = bytearray(JPEGS[kind]), len(JPEGS[kind]) // 2
    if how == "random":
        data[middle:-2] = np.random.default_rng(0).integers(0, 255, len(data) - middle - 2, np.uint8).tobytes()
    elif how == "zeros":
        data[middle:-2] = bytes(len(data) - middle - 2)
    else:
        del data[middle : middle + len(data) // 4]
    assert cv2.imdecode(np.frombuffer(bytes(data), np.uint8), cv2.IMREAD_UNCHANGED) is not None
    with pytest.raises(InputError, match=r"picture is damaged: .*pixel"):
        decode(bytes(data))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.7])
def test_a_progressive_jpeg_without_its_last_scans_is_refused(kept):
    cut = JPEGS["progressive"][: int(kept * len(JPEGS["progressive"]))].rstrip(b"\xff") + b"\xff\xd9"
    assert cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    with pytest.raises(InputError, match=r"damaged: its scans leave out [0-9]+ of 192 coefficients"):
        decode(cut)


def test_the_share_of_missing_pixels_is_told():
    gray = JPEGS["half gray"]
    begin = gray.index(b"\xff\xda")
    assert decode(gray).shape == (240, 320, 3)
    cut = JPEGS["flat gray"][: begin + (len(JPEGS["flat gray"]) - begin) // 2] + b"\xff\xd9"
    with pytest.raises(InputError, match=r"damaged: (4|5)[0-9]\.[0-9] % of its pixels"):
        decode(cut)


@pytest.mark.parametrize("change", ["missing", "order"])
def test_restart_marks_must_be_complete_and_in_order(change):
    data = JPEGS["restarts"]
    if change == "missing":
        begin, end = data.index(b"\xff\xd2"), data.index(b"\xff\xd5")
        data = data[:begin] + data[end:]
    else:
        data = data.replace(b"\xff\xd2", b"\xff\xd6", 1)
    with pytest.raises(InputError, match=r"damaged: .* restart marks where 14 are expected"):
        decode(data)


def test_a_jpeg_without_its_tables_is_read():
    """Some cameras leave out the standard tables (Motion JPEG in AVI)."""
    data = JPEGS["baseline"]
    while (begin := data.find(b"\xff\xc4")) >= 0:
        (length,) = struct.unpack_from(">H", data, begin + 2)
        data = data[:begin] + data[begin + 2 + length :]
    plain = cv2.imdecode(np.frombuffer(JPEGS["baseline"], np.uint8), cv2.IMREAD_UNCHANGED)
    if cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is None:
        pytest.skip("this OpenCV does not have the tables")
    assert np.array_equal(decode(data), plain)


def test_a_few_unread_bytes_before_the_end_mark_are_accepted():
    """As some webcams leave them in every image."""
    data = JPEGS["baseline"]
    assert decode(data[:-2] + bytes(12) + data[-2:]).shape == (240, 320, 3)


@pytest.mark.parametrize("quality", [10, 30, 50, 80, 95, 100])
def test_the_codes_of_whole_jpegs_are_counted_exactly(quality):
    """Also where nothing looks damaged: every unit is read, and nothing is left."""
    options = (cv2.IMWRITE_JPEG_QUALITY, quality)
    for shape, more in (((240, 320), ()), ((77, 123), (cv2.IMWRITE_JPEG_OPTIMIZE, 1)), ((9, 500), ())):
        for image in (picture(*shape), picture(*shape)[..., 0]):
            data = encode(image, ".jpg", *options, *more)
            scan = only_scan(data, jpeg_segments(data))
            tables = {}
            for content in scan.tables:
                tables |= code_lengths(content)
            blocks = [BlockCodes(tables[dc], tables[ac]) for dc, ac in scan.blocks]
            side = 8 if image.ndim == 2 else 16  # OpenCV halves the chroma
            assert scan.units == -(-shape[0] // side) * -(-shape[1] // side)
            assert count_units(scan.coded, blocks, scan.units) == (scan.units, 0)


def chunks(data: bytes) -> list[bytes]:
    """The chunks of a PNG, each with its length, name and checksum."""
    position, found = 8, []
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        found.append(data[position : position + 12 + length])
        position += 12 + length
    return found


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


PNG = encode(picture(), ".png")


@settings(deadline=None, max_examples=40)
@given(kept=st.floats(0.0, 0.999))
def test_a_cut_png_is_refused(kept):
    with pytest.raises(InputError, match=r"empty|truncated|not an image"):
        decode(PNG[: int(kept * len(PNG))])


def test_a_png_with_a_changed_byte_is_refused():
    data = bytearray(PNG)
    data[len(data) // 2] ^= 1
    with pytest.raises(InputError, match="damaged: the checksum of its 'IDAT' part"):
        decode(bytes(data))


def test_a_png_whose_pixels_end_too_early_is_refused():
    """All checksums are right and the end mark is there."""
    short = zlib.compress(zlib.decompress(b"".join(each[8:-4] for each in chunks(PNG) if each[4:8] == b"IDAT"))[:9000])
    data = PNG[:8] + chunks(PNG)[0] + chunk(b"IDAT", short) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match="cut or damaged"):
        decode(data)


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tiff", ".ppm", ".jp2", ".gif"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_other_pictures_that_are_cut_are_refused(suffix, kept):
    data = encode(picture(), suffix)
    with pytest.raises(InputError, match=r"truncated|cut or damaged|cannot be decoded"):
        decode(data[: int(kept * len(data))])


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_no_damage_ends_in_another_error(data):
    original = data.draw(
        st.sampled_from([*JPEGS.values(), PNG, *(encode(picture(40, 50), s) for s in (".bmp", ".tiff"))])
    )
    changed = bytearray(original)
    for position in data.draw(st.lists(st.integers(0, len(original) - 1), min_size=1, max_size=5)):
        changed[position] = data.draw(st.integers(0, 255))
    for position in data.draw(st.lists(st.integers(0, min(700, len(original) - 1)), max_size=3)):  # the headers
        changed[position] = data.draw(st.integers(0, 255))
    with contextlib.suppress(InputError):
        assert decode(bytes(changed)).size


# --- sizes that are claimed ---------------------------------------------------------------------------------------


def claims(format: str, width: int, height: int) -> bytes:
    """The begin of a picture that claims a size."""
    if format == "PNG":
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    if format == "JPEG":
        data = bytearray(JPEGS["baseline"])
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", height, width)
        return bytes(data)
    if format == "BMP":
        return b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, width, -height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
    if format == "TIFF":
        entries = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 8),
            (262, 3, 1, 1),
            (277, 3, 1, 1),
            (273, 4, 1, 8),
        ]
        return (
            b"II*\0"
            + struct.pack("<IH", 8, len(entries))
            + b"".join(struct.pack("<HHII", *e) for e in entries)
            + bytes(9)
        )
    if format == "WebP":
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        return b"RIFF" + struct.pack("<I", 100) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + bytes(90)
    if format == "PPM":
        return b"P6\n# a comment\n%d %d\n255\n" % (width, height) + bytes(99)
    return b"GIF89a" + struct.pack("<HH", min(width, 65535), min(height, 65535)) + bytes(99)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "WebP", "PPM", "GIF"])
@pytest.mark.parametrize("side", [16_000, 40_000])
def test_a_picture_that_claims_too_many_pixels_is_refused_before_memory_is_taken(format, side, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the picture was decoded"))
    with pytest.raises(InputError, match=f"too large: {side}x{side} pixels, at most 160 megapixels"):
        decode(claims(format, side, side))


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_small_file_that_claims_a_large_picture_is_refused(format, monkeypatch):
    """Below the limit of pixels, and yet more than its bytes can hold."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("the picture was decoded"))
    data = claims(format, 12_000, 12_000)
    assert MAX_PIXELS > 12_000**2
    with pytest.raises(InputError, match=f"{len(data)} bytes cannot hold 12000x12000 pixels"):
        decode(data)


def test_a_picture_of_one_colour_is_read():
    """The best compression that an encoder reaches stays below the limits of the formats."""
    blank = np.zeros((3000, 4000), np.uint8)
    assert decode(encode(blank, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9)).shape == (3000, 4000)
    bits = encode(blank, ".png", cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_BILEVEL, 1)
    assert decode(bits).shape == (3000, 4000)
    assert decode(encode(blank, ".jpg", cv2.IMWRITE_JPEG_OPTIMIZE, 1)).shape == (3000, 4000)
    assert decode(encode(blank, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)).shape == (3000, 4000)
