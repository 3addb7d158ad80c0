"""Telemetry in a bag: which recordings have any, which parameters use it, and what the user should know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from perception_common.errors import InputError
from replay_ros.bags.datasets.ground_truth import ByImageName
from replay_ros.bags.datasets.recording import Recording
from replay_ros.bags.datasets.sequences.video import Video
from replay_ros.bags.making.telemetry_messages import (
    APPROXIMATE_POSE_TOPIC,
    ATTITUDE_TOPIC,
    FIX_TOPIC,
    ODOMETRY_TOPIC,
)
from replay_ros.bags.own_parameters import parameters_text
from replay_ros.bags.telemetry.card import read_card
from replay_ros.bags.telemetry.flight import TelemetrySource
from replay_ros.bags.telemetry.video.beside import read_beside

ALTITUDE = "/altitude"
IDENTITY_MOUNT = "0 0 0 0 0 0 1"


def with_telemetry(
    recording: Recording, *, has_camera: bool, limit: int | None
) -> tuple[Recording, TelemetrySource | None]:
    """Return a recording with the stamps and notes of what a drone wrote, and what it wrote; None: nothing.

    Only plain folders of photographs and videos have any. has_camera: a calibration is given. limit: only the first
    photographs; None: all. Raises InputError.
    """
    camera = recording.cameras[0]
    is_plain = len(recording.cameras) == 1 and camera.calibration is None and recording.poses is None
    if not is_plain:
        return recording, None
    if isinstance(camera.sequence, Video):
        try:
            beside = read_beside(camera.sequence, has_camera=has_camera)
        except InputError as error:  # subtitles and tables may be about anything
            note = f"the telemetry beside the video is left out: {error}"
            return replace(recording, notes=(*recording.notes, note)), None
        if beside is None:
            return recording, None
        return replace(recording, notes=(*recording.notes, *beside.notes)), beside.telemetry
    card = read_card(camera.sequence, has_camera=has_camera, limit=limit)
    if card is None:
        return recording, None
    cameras = (replace(camera, sequence=card.folder),)
    return replace(recording, cameras=cameras, notes=(*recording.notes, *card.notes)), ByImageName(card.frames)


def sensor_parameters(counts: Mapping[str, int], frame_id: str) -> str:
    """Return the parameter file by which the nodes use what a bag holds; empty where it holds nothing of use.

    counts: messages by topic. The attitude is that of the camera itself, so the camera serves as the base frame.
    yolc_node locates objects on the ground where altitude and attitude are known.
    """
    values: dict[str, bool | float | str] = {}
    if counts.get(ALTITUDE):
        values |= {"altitude": "range", "altitude_along": "gravity"}
    elif counts.get(ODOMETRY_TOPIC):
        values["use_odometry"] = True
    if counts.get(ATTITUDE_TOPIC):
        values |= {"use_imu": True, "base_frame": frame_id, "base_from_optical": IDENTITY_MOUNT}
    nodes: dict[str, dict[str, bool | float | str]] = {"loftr_node": values} if values else {}
    if counts.get(ALTITUDE) and counts.get(ATTITUDE_TOPIC):
        nodes["yolc_node"] = {"georeference": True, "use_imu": True, "altitude": "range"}
    return parameters_text(nodes) if nodes else ""


def telemetry_notes(counts: Mapping[str, int], frames: int, turned: int) -> Iterator[str]:
    """Yield what the user should know about the telemetry in the bag, one sentence each. turned: turned upright."""
    for topic in (FIX_TOPIC, ATTITUDE_TOPIC, ALTITUDE):
        if 0 < counts.get(topic, 0) < frames:
            yield f"{frames - counts[topic]} of {frames} images have no message on {topic}"
    if turned:
        yield "the attitude of the camera is left out for images that are turned upright"
    if counts.get(APPROXIMATE_POSE_TOPIC):
        yield (
            f"{APPROXIMATE_POSE_TOPIC} is made of GPS and attitude: its errors, metres and degrees, count as errors of "
            "the nodes in the evaluation"
        )
