"""Runs the targets in child processes under limits of time and memory, and collects what should not happen."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from tqdm import tqdm

from perception_common.errors import InputError
from replay_ros.benchmarks.machine import child_environment
from replay_ros.reliability.fuzz import bags, files, messages, pictures, sequences
from replay_ros.reliability.fuzz.mutation import mutate
from replay_ros.reliability.fuzz.target import Target
from replay_ros.reliability.report import ReliabilityReport, limit

SECONDS = 10.0  # CPU time of one input; valid ones of this size take milliseconds
_LAST_SECONDS = 30.0  # CPU time after which the process ends: no exception reaches a library that does not return
MEMORY = 1 << 30  # bytes that one child may take beyond what it has after the imports
_CHILD = (sys.executable, "-m", "replay_ros.reliability.fuzz.run")
_CORPUS = 400  # inputs of a target that are kept for further mutations
_BATCH = 20_000  # inputs of a child process, of a target of cost 1; its corpus grows over the batch
_SMALLEST_BATCH = 1000  # inputs; a child imports for some seconds before the first one


class Hang(BaseException):
    """An input took more than `SECONDS`."""


@dataclass
class Findings:
    """What a batch found. outcomes: how often each result or refusal was seen. faults: by place, an input of each."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    corpus: list[bytes] = field(default_factory=list)


def all_targets() -> dict[str, Target]:
    """Return all targets by name."""
    return {
        target.name: target for module in (messages, pictures, files, sequences, bags) for target in module.targets()
    }


def fuzz(target: Target, corpus: Sequence[bytes], count: int, seed: int, folder: Path) -> Findings:
    """Try `count` inputs made from the corpus; those with an outcome that was not seen before join it."""
    rng = random.Random(seed)
    found = Findings(corpus=list(corpus))
    signal.signal(signal.SIGPROF, _hang)
    for number in range(count):
        data = found.corpus[number] if number < len(corpus) else mutate(rng.choice(found.corpus), found.corpus, rng)
        place = try_input(target, data, folder)
        is_new = place not in found.outcomes
        found.outcomes[place] += 1
        if place.startswith("!"):
            found.counts[place] += 1
            if is_new:
                found.faults[place] = data
        elif is_new and len(found.corpus) < _CORPUS:
            found.corpus.append(data)
    return found


def try_input(target: Target, data: bytes, folder: Path) -> str:
    """Read an input; returns the kind of the result, or the place of the refusal; "!" marks what must not happen."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_VIRTUAL, _LAST_SECONDS)  # SIGVTALRM, which ends the process
        try:
            return f"result {type(target.read(data, Path(scratch))).__name__}"
        except InputError as error:
            return f"InputError {_place(error)}"
        except Hang as error:
            return f"!more than {SECONDS:g} s at {_place(error)}"
        except MemoryError as error:
            return f"!more than {MEMORY >> 20} MiB at {_place(error)}"
        except Exception as error:
            return f"!{type(error).__name__} at {_place(error)}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def run_fuzz(inputs: int, folder: Path, seed: int = 0, only: Sequence[str] = ()) -> ReliabilityReport:
    """Try this many inputs, shared out among the targets; cheap targets get more.

    folder: keeps the corpus of each target, which grows from run to run, and the inputs that were faults. only: targets
    whose names contain one of these words. Raises InputError when no target does.
    """
    targets = {name: each for name, each in all_targets().items() if not only or any(word in name for word in only)}
    if not targets:
        raise InputError(f"no target has one of {list(only)} in its name; there are {', '.join(all_targets())}")
    share = inputs / sum(1 / target.cost for target in targets.values())
    counts = {name: max(1, round(share / target.cost)) for name, target in targets.items()}
    sizes = {name: max(_SMALLEST_BATCH, _BATCH // target.cost) for name, target in targets.items()}
    batches = [
        (name, min(sizes[name], count - first), seed + first)
        for name, count in counts.items()
        for first in range(0, count, sizes[name])
    ]
    faults: dict[str, Counter[str]] = {name: Counter() for name in targets}
    start = time.monotonic()
    with (
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
        tqdm(total=sum(counts.values()), unit="input", desc="fuzz", disable=None) as progress,
    ):
        for (name, count, _), found in zip(batches, pool.map(partial(_run_child, folder), batches), strict=True):
            faults[name] += found
            progress.update(count)
    figures: dict[str, float | int | str] = {f"{name}: inputs": count for name, count in counts.items()}
    failures = [f"{name}: {n} times {place.lstrip('!')}" for name in targets for place, n in faults[name].items()]
    figures["seconds"] = time.monotonic() - start
    limits = [limit("inputs with neither a result nor an InputError", len(failures), 0)]
    conditions = f"{len(targets)} targets, seed {seed}; at most {SECONDS:g} s and {MEMORY >> 20} MiB for an input"
    return ReliabilityReport("fuzz", conditions, figures, limits, failures)


def _run_child(folder: Path, batch: tuple[str, int, int]) -> Counter[str]:
    name, count, seed = batch
    memory_disk = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory_disk if os.access(memory_disk, os.W_OK) else None) as scratch:
        command = [*_CHILD, name, str(count), str(seed), str(folder), scratch]
        child = subprocess.run(command, capture_output=True, env=child_environment(), stdin=subprocess.DEVNULL)
        if child.returncode == 0:
            return Counter(json.loads(child.stdout.splitlines()[-1]))
        last = folder / "faults" / f"{_file_name(name)}_{seed}_last"
        shutil.copytree(scratch, last, dirs_exist_ok=True)
    said = (child.stderr.decode(errors="replace").strip().splitlines() or [""])[-1][:200]
    how = f"signal {-child.returncode}" if child.returncode < 0 else f"status {child.returncode}"
    return Counter({f"!the process ended with {how} (its last input is in {last}) {said}": 1})


def _file_name(target: str) -> str:
    return target.replace("/", "_").replace(" ", "_")


def main() -> None:
    """Fuzz one target and print the faults as JSON. Started by `_run_child`."""
    name, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    folder, scratch = Path(sys.argv[4]), Path(sys.argv[5])
    target = all_targets()[name]
    kept = folder / "corpus" / _file_name(name)
    kept.mkdir(parents=True, exist_ok=True)
    corpus = [*target.seeds(), *(path.read_bytes() for path in sorted(kept.iterdir()))]
    _limit_memory()
    found = fuzz(target, corpus, count, seed, scratch)
    for number, data in enumerate(found.corpus[len(corpus) :]):
        (kept / f"{seed}_{number}").write_bytes(data)
    for number, data in enumerate(found.faults.values()):
        faults = folder / "faults"
        faults.mkdir(exist_ok=True)
        (faults / f"{kept.name}_{seed}_{number}").write_bytes(data)
    print(json.dumps(found.counts))


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


def _hang(number: int, frame: FrameType | None) -> None:
    raise Hang


def _place(error: BaseException) -> str:
    """Return file and line of our own code, and of the code that raised, which tell one fault from another."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if "site-packages" not in each.filename and "reliability" not in each.filename]
    places = [f"{Path(each.filename).name}:{each.lineno}" for each in (*ours[-1:], *frames[-1:])]
    return " < ".join(dict.fromkeys(places))


if __name__ == "__main__":
    main()
