"""Both nodes on a device: a short simulated flight in lockstep, live where ROS is installed, else offline."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.atomic_file import make_folder, output_file
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from replay_ros.benchmarks.measurement import Check, Measurement, SubjectReport
from replay_ros.live.replay import LiveOptions
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest, replay

SEED = 9
PARAMETERS = "/**:\n  ros__parameters:\n    device: {device}\n"


def has_ros() -> bool:
    """Whether nodes can run here."""
    return importlib.util.find_spec("rclpy") is not None


def measure(device: str, plan: GpuCheckPlan, folder: Path) -> SubjectReport:
    """Replay a flight; the bags, the result and the log of the nodes stay in the folder."""
    make_folder(folder)
    width, height = plan.flight_size
    flight = FlightOptions(
        scene=SceneOptions(urbanity=0.8),
        path=FlightPathOptions(kind="orbit", duration_s=20.0, altitude_m=35.0, pitch_deg=-60.0),
        camera=CameraOptions(width=width, height=height),
        frame_rate_hz=2.0,
    )
    bag, parameters = folder / "flight", folder / "parameters.yaml"
    write_flight(FlightBagOptions(bag, SEED, flight, frames=plan.flight_frames, force=True))
    with output_file(parameters) as unfinished:
        unfinished.write_text(PARAMETERS.format(device=device))
    is_live = has_ros()
    options: LiveOptions | OfflineOptions = (
        LiveOptions(bag=bag, out=folder / "answers", params_file=parameters, node_log=folder / "nodes.log", force=True)
        if is_live
        else OfflineOptions(bag=bag, out=folder / "answers", params_file=parameters, force=True)
    )
    result = replay(ReplayRequest(options, folder / "result.json", None))
    unanswered = sum(node.images - node.answered for node in result.answers)
    return SubjectReport(
        subject="nodes",
        conditions=f"{'yolc_node and loftr_node over DDS' if is_live else 'the cores of both nodes, without ROS'} on "
        f"{device}, with their default parameters: {result.frames} images of {width}x{height}, the next one when the "
        "last one is answered",
        rows=tuple(Measurement.milliseconds(s.name, s.seconds) for s in result.timing.stages if s.seconds),
        checks=(Check("images without an answer", "equality", unanswered, 0),),
        notes=(*result.warnings, *filter(None, (result.stopped,))),
    )
