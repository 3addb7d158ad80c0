"""The demo: a flight through both nodes over DDS, ending in a report.

The flight is a bag, a folder of images or a video; without one a flight over a simulated city block is made, and a few
thermal images get a report of their own.
"""

from __future__ import annotations

from pathlib import Path

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.atomic_file import make_folder
from perception_common.errors import InputError
from perception_common.resources import find_config
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.bags.making.make_bag import MakeBagOptions, make_bag
from replay_ros.bags.making.summary import describe_summary
from replay_ros.bags.own_parameters import find_own_parameters
from replay_ros.bags.storage_files import STORAGE_SUFFIXES
from replay_ros.live.replay import LiveOptions
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest, replay
from replay_ros.result.replay_result import ReplayResult

CITY = FlightOptions(
    scene=SceneOptions(urbanity=0.8),
    path=FlightPathOptions(kind="orbit", duration_s=20.0, altitude_m=35.0, pitch_deg=-60.0),
    camera=CameraOptions(width=1280, height=720),
    frame_rate_hz=1.5,
)
SEED = 9  # a block with car parks


def run_demo(flight: Path | None, out: Path, camera: Path | None, limit: int | None) -> ReplayResult:
    """Make a bag where none is given, replay it live and write the report."""
    make_folder(out)
    bag = _bag_of(flight, out / "flight", camera, limit)
    options = LiveOptions(
        bag=bag,
        out=out / "answers",
        # A simulated flight has an altimeter and a gimbal that says its pitch; of other flights their bag tells it.
        params_file=(
            find_config("demo.yaml") if flight is None else find_own_parameters(bag) or find_config("perception.yaml")
        ),
        node_log=out / "nodes.log",
        limit=limit,
        answer_timeout=300.0,
        force=True,
    )
    return replay(ReplayRequest(options, out / "result.json", out / "report.html"))


def run_thermal_demo(out: Path) -> ReplayResult:
    """Replay the thermal images that come with the package, without nodes, and write `thermal.html`."""
    bag = out / "thermal_flight"
    make_bag(MakeBagOptions(source=find_config("demo_thermal/coco.json").parent, out=bag, rate=1.0, force=True))
    options = OfflineOptions(
        bag=bag,
        out=out / "thermal_answers",
        params_file=find_config("demo_thermal.yaml"),
        matching=False,  # the images show five places
        force=True,
    )
    return replay(ReplayRequest(options, out / "thermal.json", out / "thermal.html"))


def _bag_of(flight: Path | None, made: Path, camera: Path | None, limit: int | None) -> Path:
    """Return the bag of a flight, making it at `made` unless it is one."""
    if flight is None:
        write_flight(FlightBagOptions(made, SEED, CITY, frames=limit, force=True))
        return made
    if not flight.exists():
        raise InputError(f"{flight} does not exist: give a bag, a folder of images or a video")
    if (flight / "metadata.yaml").is_file() or flight.suffix in STORAGE_SUFFIXES:
        return flight
    made_of = make_bag(MakeBagOptions(source=flight, out=made, camera=camera, limit=limit, force=True))
    print(describe_summary(made_of))
    return made
