"""Targets: recordings that become bags, and the telemetry of drones beside and in their pictures."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from replay_ros.bags.datasets.euroc import read_euroc
from replay_ros.bags.datasets.recording import FrameTiming, Recording
from replay_ros.bags.datasets.tum import read_tum_rgbd
from replay_ros.bags.datasets.visdrone_video import read_visdrone_video
from replay_ros.bags.telemetry.exif_tags import read_exif
from replay_ros.bags.telemetry.photographs import telemetry_of
from replay_ros.bags.telemetry.video.log_table import read_log_table
from replay_ros.bags.telemetry.video.subtitles import read_subtitles
from replay_ros.reliability.fuzz.target import Target, from_file

_SEPARATOR = b"\x1e"  # between the files of an input
_PICTURE = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
_TUM = ("rgb.txt", "depth.txt", "groundtruth.txt")
_EUROC = ("cam0/data.csv", "cam0/sensor.yaml", "imu0/data.csv", "state_groundtruth_estimate0/data.csv")


def targets() -> list[Target]:
    """Return the targets of this module."""
    return [
        Target("TUM sequence", lambda: [_SEPARATOR.join(_TUM_FILES)], partial(_read_files, _TUM, read_tum_rgbd), 2),
        Target("EuRoC sequence", lambda: [_SEPARATOR.join(_EUROC_FILES)], partial(_read_files, _EUROC, read_euroc), 4),
        Target("VisDrone sequence", lambda: [b"1,1,10,20,30,40,1,4,0,0\n2,0,5,5,9,9,0,0,0,0\n"], _read_visdrone, 2),
        Target("subtitles", lambda: _SUBTITLES, from_file(partial(read_subtitles, size=(1920, 1080)), "video.srt")),
        Target("flight log", lambda: _LOGS, from_file(read_log_table, "video.csv")),
        Target("metadata of a photograph", _photographs, lambda data, folder: telemetry_of(data), 2),
    ]


_TUM_FILES = (
    b"# images\n1.5 rgb/1.5.png\n2.5 rgb/2.5.png\n",
    b"1.5 depth/1.5.png\n",
    b"1.5 1 2 3 0 0 0 1\n2.5 1 2 3 0 0 0.6 0.8\n",
)
_EUROC_FILES = (
    b"#timestamp [ns],filename\n1403636579763555584,1.png\n1403636579813555456,2.png\n",
    b"%YAML:1.0\nT_BS:\n  cols: 4\n  rows: 4\n  data: [1.0, 0, 0, 0.1, 0, 1.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0, 1.0]\n"
    b"resolution: [752, 480]\ncamera_model: pinhole\nintrinsics: [458.6, 457.3, 367.2, 248.4]\n"
    b"distortion_model: radial-tangential\ndistortion_coefficients: [-0.28, 0.07, 0.0002, 0.00002]\n",
    b"#ns,w,a\n1403636579763555584,0.1,0.1,0.1,9.8,0.1,-3.2\n",
    b"#ns,p,q\n1403636579763555584,4.6,-1.8,0.8,0.53,-0.15,-0.82,-0.08\n",
)
_SUBTITLES = (
    b"1\n00:00:01,000 --> 00:00:02,000\nHOME(149.0,-20.2) GPS(149.0251,-20.2533,16) BAROMETER:1.9\n",
    b"1\n00:00:00,000 --> 00:00:00,033\n[focal_len: 240] [latitude: 59.30] [longitude: 18.20] "
    b"[rel_alt: 1.3 abs_alt: 132.8] [gb_yaw: 1.0 gb_pitch: -90.0 gb_roll: 0.0]\n",
    b"1\n00:00:01,000 --> 00:00:02,000\nGPS (-122.3699, 37.5929, 15), D 224.64m, H 20.50m, G.PRY (-90.0, 0.0, 33.1)\n",
)
_LOGS = (
    b"time(millisecond),latitude,longitude,height_above_takeoff(feet),isVideo,gimbal_heading(degrees)\n"
    b"0,59.3,18.2,100,1,10\n100,59.3,18.2,101,1,10\n",
    b"seconds,lat,lon,altitude,yaw\n0,59.3,18.2,40,1\n",
)


def _photographs() -> list[bytes]:
    exif = bytes.fromhex("4d4d002a00000008") + struct.pack(
        ">HHHI4sHHIIHHIIIHHHIIHHII",
        *(3, 0x010F, 2, 4, b"DJI\0", 0x8769, 4, 1, 50, 0x8825, 4, 1, 80, 0),
        *(2, 0xA405, 3, 1, 20 << 16, 0x9003, 2, 4, 0),
    )
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" drone-dji:RelativeAltitude="+50.1" '
        b'drone-dji:GimbalYawDegree="45" drone-dji:GimbalPitchDegree="-90" drone-dji:GimbalRollDegree="0" '
        b'drone-dji:GpsLatitude="46.8" drone-dji:GpsLongitude="-91.9" drone-dji:DewarpFlag="0" '
        b'drone-dji:DewarpData="2022-06-08;3666.7,3666.7,22.3,1.2,-0.11,0.01,0,0,-0.03"/></rdf:RDF></x:xmpmeta>'
    )
    read_exif(exif)  # raises where these bytes are no EXIF
    parts = (b"Exif\0\0" + exif, b"http://ns.adobe.com/xap/1.0/\0" + xmp)
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts)
    return [_PICTURE[:2] + segments + _PICTURE[2:]]


def _read_files(
    names: tuple[str, ...], read: Callable[[Path, FrameTiming], Recording], data: bytes, folder: Path
) -> object:
    """Read a recording whose text files are the parts of an input."""
    for name, content in zip(names, data.split(_SEPARATOR), strict=False):
        path = folder / "freiburg1" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return read(folder / "freiburg1", FrameTiming())


def _read_visdrone(data: bytes, folder: Path) -> object:
    images, labels = folder / "sequences" / "a", folder / "annotations"
    for each in (images, labels):
        each.mkdir(parents=True, exist_ok=True)
    for number in (1, 2):
        (images / f"{number:07}.jpg").write_bytes(_PICTURE)
    (labels / "a.txt").write_bytes(data)
    return read_visdrone_video(images, FrameTiming())
