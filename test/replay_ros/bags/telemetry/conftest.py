"""Photographs with the metadata of drones, written by the tests."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"


def exif_of(*, camera=None, gps=None, image=None):
    """Return an EXIF structure, without its mark, of tags by number."""
    image_module = pytest.importorskip("PIL.Image")
    exif = image_module.Exif()
    exif.update(image or {})
    exif.get_ifd(0x8769).update(camera or {})
    exif.get_ifd(0x8825).update(gps or {})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def xmp_of(properties, *, as_elements=False):
    """Return an XMP packet of properties by "prefix:name", as attributes or as elements."""
    prefixes = {name.split(":")[0] for name in properties}
    spaces = " ".join(f'xmlns:{prefix}="http://ns.example/{prefix}/"' for prefix in prefixes)
    attributes = "" if as_elements else " ".join(f'{name}="{value}"' for name, value in properties.items())
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items()) if as_elements else ""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {spaces} {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def jpeg_with(*, exif=b"", xmp=b"", image=None):
    """Return the bytes of a JPEG with these metadata. image: pixels; None: gray, 64x48."""
    pixels = np.full((48, 64, 3), 90, np.uint8) if image is None else image
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    parts = [b"Exif\0\0" + exif] * bool(exif) + [XMP_HEAD + xmp] * bool(xmp)
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return data[:2] + segments + data[2:]


def degrees_minutes_seconds(value):
    """Return an angle as EXIF states it: degrees, minutes and seconds without a sign."""
    minutes, seconds = divmod(abs(value) * 3600.0, 60.0)
    degrees, minutes = divmod(minutes, 60.0)
    return (degrees, minutes, seconds)


def dji_photograph(
    *, latitude=46.84, longitude=-91.99, yaw=45.0, pitch=-90.0, height=40.0, time="2016:06:23 16:31:59", image=None
):
    """Return the bytes of a photograph as a DJI drone writes it."""
    exif = exif_of(
        image={271: "DJI\0\0\0", 272: "FC300S"},
        camera={36867: time, 37386: 3.61, 41989: 20},
        gps={
            1: "N" if latitude >= 0 else "S",
            2: degrees_minutes_seconds(latitude),
            3: "E" if longitude >= 0 else "W",
            4: degrees_minutes_seconds(longitude),
            5: b"\0",
            6: 198.6,
        },
    )
    xmp = xmp_of(
        {
            "drone-dji:AbsoluteAltitude": "+198.60",
            "drone-dji:RelativeAltitude": f"{height:+.2f}",
            "drone-dji:GimbalYawDegree": f"{yaw:+.2f}",
            "drone-dji:GimbalPitchDegree": f"{pitch:+.2f}",
            "drone-dji:GimbalRollDegree": "+0.00",
        }
    )
    return jpeg_with(exif=exif, xmp=xmp, image=image)


@pytest.fixture
def photographs():
    """The functions of this module, for the tests of the folder."""
    return Photographs


class Photographs:
    """Writers of photographs."""

    exif_of = staticmethod(exif_of)
    xmp_of = staticmethod(xmp_of)
    jpeg_with = staticmethod(jpeg_with)
    dji = staticmethod(dji_photograph)

    @staticmethod
    def write_card(folder: Path, photographs):
        """Write the bytes of photographs as DJI_0001.JPG and so on; return the folder."""
        folder.mkdir(exist_ok=True)
        for number, data in enumerate(photographs, start=1):
            (folder / f"DJI_{number:04}.JPG").write_bytes(data)
        return folder
