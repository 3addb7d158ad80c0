"""Does all faults to a running system, one after the other, and measures how soon it answers again."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from perception_common.errors import InputError
from replay_ros.reliability.bench import START_SECONDS, running_bench
from replay_ros.reliability.chaos.disk_faults import check_trajectories, disk_faults
from replay_ros.reliability.chaos.faults import FAULTS, Broken
from replay_ros.reliability.chaos.small_disk import small_disk
from replay_ros.reliability.chaos.system import System
from replay_ros.reliability.report import ReliabilityReport, limit

RECOVERY_LIMIT = 5.0  # seconds from the end of a cause to the answers of both nodes
_PATIENCE = 60.0  # seconds after which the run gives a recovery up


def run_chaos(rounds: int, folder: Path, seed: int = 0, only: Sequence[str] = ()) -> ReliabilityReport:
    """Do all faults (or those whose names contain one of `only`) in a random order, `rounds` times.

    folder: gets the logs of the nodes. Raises InputError when the system does not come up.
    """
    rng = random.Random(seed)
    seconds: dict[str, list[float]] = {}
    failures: list[str] = []
    with small_disk(folder / "disk") as disk, running_bench(folder) as bench:
        system = System(bench, disk)
        bench.require(lambda: all(bench.answers.values()), START_SECONDS, "a first answer of both nodes")
        faults = FAULTS | (disk_faults(disk) if disk else {})
        chosen = [name for name in faults if not only or any(word in name for word in only)]
        if not chosen:
            raise InputError(f"no fault has one of {list(only)} in its name; there are {', '.join(faults)}")
        order = [name for _ in range(rounds) for name in rng.sample(chosen, len(chosen))]
        for name in tqdm(order, unit="fault", desc="chaos", disable=None):
            try:
                faults[name](system)
                then = time.time()
                took = system.recovery_seconds(then, _PATIENCE)
                if took == float("inf"):
                    raise Broken(f"no answer within {_PATIENCE:g} s")
                seconds.setdefault(name, []).append(took)
                check_trajectories(system)
            except (Broken, InputError) as broken:
                failures.append(f"{name}: {broken}")
            for node, process in system.nodes.items():
                if process.poll() is not None:
                    failures.append(f"{name}: {node} ended with status {process.returncode}")
                    system.start_node(node)
                    system.recovery_seconds(time.time(), START_SECONDS)
    left_out = "" if disk else " (faults of the disk left out: a disk of our own cannot be mounted here)"
    return ReliabilityReport(
        "chaos",
        f"{len(order)} faults in a random order, seed {seed}{left_out}",
        {f"{name}: answers again after, at most [s]": max(values) for name, values in seconds.items()},
        [limit(f"{name}: answers again", max(values), RECOVERY_LIMIT, "s") for name, values in seconds.items()],
        failures,
    )
