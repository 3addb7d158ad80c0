"""Rate of a fleet of replays with one and with two workers of one thread each, on copies of a simulated flight.

The workers have replayed one image before the clock starts: how long they take to start does not depend on the bags.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

from flight_sim.flight import CameraOptions, FlightOptions
from flight_sim.flight_path import FlightPathOptions
from perception_common.resources import find_config
from replay_ros.bags.making.flight import FlightBagOptions, write_flight
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.fleet.engines.local import LocalEngine
from replay_ros.fleet.record import Record
from replay_ros.fleet.run import Fleet
from replay_ros.fleet.task import Resources
from replay_ros.fleet.work.replay import plan_replays
from replay_ros.offline.replay import OfflineOptions
from replay_ros.replay import ReplayRequest

RATIO_AIM = 1.8  # of the rates of two workers and one
RATE_HZ = 2.0  # images per second of the flight


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Replay all bags with one worker, then with two."""
    width, height = plan.fleet_frame
    path = FlightPathOptions(kind="survey", duration_s=(plan.fleet_images - 1) / RATE_HZ)
    options = FlightOptions(path=path, camera=CameraOptions(width, height), frame_rate_hz=RATE_HZ)
    with tempfile.TemporaryDirectory() as folder:
        bags = [Path(folder) / "flights" / f"flight_{number}" for number in range(plan.fleet_bags)]
        with redirect_stdout(StringIO()):
            write_flight(FlightBagOptions(bags[0], seed=1, flight=options))
        for bag in bags[1:]:
            shutil.copytree(bags[0], bag)
        runs = {workers: _run(bags, Path(folder) / f"with_{workers}", workers) for workers in (1, 2)}
        kept = _bytes_of(Path(folder) / "with_1") == _bytes_of(Path(folder) / "with_2")
    rows, cost = [], {}
    for workers, (seconds, records) in runs.items():
        images = sum(record.frames for record in records)
        cost[workers] = seconds / images
        name = f"{workers} worker{'s' * (workers > 1)}"
        cpu = [record.cpu_seconds / max(record.frames, 1) for record in records]
        rows += [
            Measurement.of(f"{name}, rate", "1/s", [images / seconds]),
            Measurement.of(f"{name}, CPU", "s/image", cpu),
        ]
    rows.append(Measurement.of("rate of 2 workers / 1 worker", "x", [cost[1] / cost[2]]))
    return SubjectReport(
        subject="fleet",
        conditions=f"{plan.fleet_bags} bags of {plan.fleet_images} images of {width}x{height}, both networks of "
        "config/perception.yaml, one thread for each worker",
        rows=tuple(rows),
        checks=(
            Check("bags whose answers differ between 1 and 2 workers", "equality", float(not kept), 0.0),
            Check("time of 2 workers / 1 worker", "aim", cost[2] / cost[1], 1 / RATIO_AIM, "x"),
        ),
    )


def _run(bags: list[Path], output: Path, workers: int) -> tuple[float, list[Record]]:
    """Return the seconds of a fleet whose workers are warm, and its records."""
    fleet = Fleet(output, "replay", partial(LocalEngine, output, Resources(cpus=1), workers))
    try:
        with redirect_stdout(StringIO()):
            warm = {f"warm_{number}": bags[0] for number in range(workers)}
            fleet.run(plan_replays(warm, partial(_request, 1), output))
            start = time.perf_counter()
            records = fleet.run(plan_replays({bag.name: bag for bag in bags}, partial(_request, None), output))
            return time.perf_counter() - start, records
    finally:
        fleet.close()


def _request(limit: int | None, bag: Path, out: Path) -> ReplayRequest:
    options = OfflineOptions(bag, out, find_config("perception.yaml"), limit=limit, force=True)
    return ReplayRequest(options, out.with_name(f"{out.name}.json"), None)


def _bytes_of(output: Path) -> dict[str, bytes]:
    files = [path for path in (output / "bags").rglob("*") if path.is_file() and path.suffix != ".json"]
    return {str(path.relative_to(output)): path.read_bytes() for path in files if "warm_" not in str(path)}
