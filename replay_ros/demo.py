"""The command `demo`: a flight goes through both nodes; pictures and a summary come out.

The flight is a bag, a folder of images or a video; without one a flight over a simulated city block is made.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.scene import SceneOptions
from flight_sim.trajectory import TrajectoryOptions
from perception_common.errors import InputError
from perception_common.resources import find_config
from replay_ros.bags.flight import FlightBagOptions, write_flight
from replay_ros.bags.make_bag import MakeBagOptions, describe, make_bag
from replay_ros.bags.reader import STORAGE_SUFFIXES, open_bag
from replay_ros.live import LiveOptions, replay_live, summary
from replay_ros.pictures import draw_answers

EXAMPLE = """\
examples:
  demo                                   a simulated city block
  demo flight/images --camera camera.yaml
  demo recorded_bag --out report
"""
CITY = FlightOptions(
    scene=SceneOptions(urbanity=0.8),
    trajectory=TrajectoryOptions(kind="survey", duration_s=20.0, altitude_m=45.0, pitch_deg=-75.0),
    camera=CameraOptions(width=1280, height=720),
    frame_rate_hz=1.5,
)
SEED = 7


def run_demo(flight: Path | None, out: Path, camera: Path | None, limit: int | None) -> dict[str, Any]:
    """Make the bag, replay it, draw and sum up; returns the summary."""
    out.mkdir(parents=True, exist_ok=True)
    bag = _bag_of(flight, out / "flight", camera, limit)
    log = out / "nodes.log"
    result = replay_live(
        LiveOptions(
            bag=bag,
            out=out / "answers",
            params_file=find_config("perception.yaml"),
            node_log=log,
            limit=limit,
            answer_timeout=300.0,
            force=True,
        )
    )
    shutil.rmtree(out / "pictures", ignore_errors=True)
    pictures = draw_answers(out / "answers", out / "pictures")
    told = summary(result) | _counts(out / "answers")
    (out / "summary.json").write_text(json.dumps(told, indent=2) + "\n")
    (out / "summary.md").write_text(_markdown(told, [picture.relative_to(out) for picture in pictures]))
    return told


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
    print(describe(made_of))
    return made


def _counts(answers: Path) -> dict[str, Any]:
    """Count what the answers say."""
    objects = clusters = 0
    geometry: dict[str, int] = {}
    trained: dict[str, bool] = {}
    names = ("FAILED", "GENERAL", "PLANAR", "ROTATION_ONLY")
    with open_bag(answers) as bag:
        types = ("yolc_ros/msg/DetectionArray", "yolc_ros/msg/Correspondences", "yolc_ros/msg/RelativePose")
        topics = [topic.name for topic in bag.of_type(*types) if not topic.name.startswith("/ground_truth")]
        for item in bag.messages(topics):
            message = item.message
            if item.type == types[0]:
                objects += len(message.detections)
                clusters += len(message.regions)
            if item.type == types[2]:
                geometry[names[message.geometry]] = geometry.get(names[message.geometry], 0) + 1
            else:
                trained[message.model] = message.trained
    return {"objects": objects, "clusters": clusters, "geometry": geometry, "trained": trained}


def _markdown(told: dict[str, Any], pictures: list[Path]) -> str:
    lines = ["# What the nodes answered", ""]
    untrained = [model for model, trained in told["trained"].items() if not trained]
    if untrained:
        lines += [f"**{', '.join(untrained)}: untrained weights, these results mean nothing.**", ""]
    lines += [f"{told['frames']} images of `{told['image_topic']}` in {told['seconds']:.1f} s.", ""]
    lines += ["| answers on | images answered | median | 95 % |", "|---|---|---|---|"]
    for topic, answer in told["answers"].items():
        times = [f"{value:.0f} ms" if (value := answer[key]) is not None else "-" for key in ("p50_ms", "p95_ms")]
        lines.append(f"| `{topic}` | {answer['answered']} of {told['frames']} | {' | '.join(times)} |")
    geometry = ", ".join(f"{count} {name}" for name, count in sorted(told["geometry"].items())) or "none"
    lines += [
        "",
        f"{told['objects']} objects, {told['clusters']} clusters looked at again; relative poses: {geometry}.",
        "",
    ]
    lines += [f"![{picture.stem}]({picture.as_posix()})" for picture in pictures]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="demo", description=__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "flight", type=Path, nargs="?", help="bag, folder of images or video (default: a simulated one)"
    )
    parser.add_argument("--camera", type=Path, help="camera file, for a folder or a video (see make_bag)")
    parser.add_argument("--limit", type=int, help="images at most")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder to write (default: demo_output)")
    given = parser.parse_args(arguments)
    run_demo(given.flight, given.out, given.camera, given.limit)
    print((given.out / "summary.md").read_text().split("![")[0])
    print(f"pictures: {given.out / 'pictures'}, summary: {given.out / 'summary.md'}, bag: {given.out / 'answers'}")
    return 0
