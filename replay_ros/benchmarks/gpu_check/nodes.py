"""Both nodes on a device: a short simulated flight in lockstep, live where ROS is installed, else offline.

The replay runs in a process of its own: the rest of the check needs no ROS.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from flight_sim.scene import SceneOptions
from perception_common.atomic_file import make_folder, output_file
from perception_common.errors import InputError
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.benchmarks.gpu_check.plan import GpuCheckPlan
from replay_ros.benchmarks.measurement import Check, Measurement, SubjectReport
from replay_ros.result.replay_result import ReplayResult, read_result

SEED = 9
PARAMETERS = "/**:\n  ros__parameters:\n    device: {device}\n"
REPLAY = "from perception_common.cli import run; from replay_ros.commands.replay import main; run(main)"


def has_ros() -> bool:
    """Whether nodes can run here."""
    return all(importlib.util.find_spec(module) is not None for module in ("rclpy", "yolc_ros.msg"))


def measure(device: str, plan: GpuCheckPlan, folder: Path) -> SubjectReport:
    """Replay a flight; bags, result and log stay in the folder. Raises InputError when the replay fails."""
    make_folder(folder)
    width, height = plan.flight_size
    flight = FlightOptions(
        scene=SceneOptions(urbanity=0.8),
        path=FlightPathOptions(kind="orbit", duration_s=20.0, altitude_m=35.0, pitch_deg=-60.0),
        camera=CameraOptions(width=width, height=height),
        frame_rate_hz=2.0,
    )
    write_flight(FlightBagOptions(folder / "flight", SEED, flight, frames=plan.flight_frames, force=True))
    is_live = has_ros()
    result = _replay(folder, device, live=is_live)
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


def _replay(folder: Path, device: str, *, live: bool) -> ReplayResult:
    """Replay the bag FOLDER/flight by the command, which logs to FOLDER/replay.log."""
    parameters, answers = folder / "parameters.yaml", folder / "result.json"
    with output_file(parameters) as unfinished:
        unfinished.write_text(PARAMETERS.format(device=device))
    program = f"import sys; sys.path[:] = {sys.path!r}; {REPLAY}"
    command = [sys.executable, "-c", program, str(folder / "flight"), str(folder / "answers")]
    command += ["--params-file", str(parameters), "--json", str(answers), "--no-report", "--force"]
    command += ["--live", "--lockstep"] if live else []
    child = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with output_file(folder / "replay.log") as unfinished:
        unfinished.write_text(child.stdout)
    if child.returncode:
        reason = (child.stdout.strip().splitlines() or ["it was killed"])[-1]
        raise InputError(f"the replay of both nodes on {device} failed: {reason} (see {folder / 'replay.log'})")
    return read_result(answers)
