"""Peak memory of full-size LoFTR and of kornia's, each in its own process."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch

from loftr_ros.network.loftr import prepare_for_inference
from perception_common.backends.devices import set_threads
from perception_common.errors import InputError
from replay_ros.benchmarks.machine import available_memory, child_environment, read_proc_bytes
from replay_ros.benchmarks.measurement import BenchmarkPlan, Check, Measurement, SubjectReport
from replay_ros.benchmarks.subjects.loftr import MODEL, kornia_loftr
from replay_ros.benchmarks.synthetic import textured_pair, to_tensor
from replay_ros.benchmarks.untrained import untrained_loftr

MIB = 2**20
MEMORY_AIM = 1 / 5  # of kornia's peak memory
RESERVE = 2 << 30  # bytes left for other processes while kornia runs; empirical


def measure(plan: BenchmarkPlan) -> SubjectReport:
    """Match one pair with each network; kornia's is skipped when it needs more memory than available."""
    width, height = plan.memory_pair
    needed, free = estimate_kornia(width, height) + RESERVE, available_memory()
    rows = [peak_in_child("ours", plan)]
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    if needed > free:
        notes = (f"kornia was left out: it needs about {needed >> 20} MiB, {free >> 20} MiB are free",)
    else:
        rows.append(peak_in_child("kornia", plan))
        rows.append(Measurement.ratio("ours / kornia", [rows[0].median], [rows[1].median]))
        checks = (Check("peak memory, ours / kornia", "aim", rows[2].median, MEMORY_AIM, "x"),)
    return SubjectReport(
        subject="memory",
        conditions=f"{MODEL} in fp32, a fresh pair of {width}x{height}: increase of the resident memory while it is "
        "matched (network and images excluded)",
        rows=tuple(rows),
        checks=checks,
        notes=notes,
    )


def estimate_kornia(width: int, height: int) -> int:
    """Estimate the bytes that kornia needs for a pair: four (cells, cells) matrices and the feature maps at 1/2."""
    cells = -(-width // 8) * -(-height // 8)
    return 4 * 4 * cells**2 + 2 * 16 * 4 * 128 * cells * 3


def peak_in_child(side: str, plan: BenchmarkPlan) -> Measurement:
    """Measure one network ("ours" or "kornia") in a child process. Raises InputError when that process fails."""
    size = [str(pixels) for pixels in plan.memory_pair]
    command = [sys.executable, __file__, side, *size, "--threads", str(plan.threads)]
    child = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise InputError(f"memory: matching with {side} failed: {reason}")
    return Measurement.of(side, "MiB", [json.loads(child.stdout)["peak_bytes"] / MIB])


@torch.inference_mode()
def peak_of_match(side: str, width: int, height: int) -> int:
    """Return the largest increase of this process's resident memory while a pair is matched, bytes."""
    image0, image1 = (to_tensor(image) for image in textured_pair(width, height))
    network = untrained_loftr(MODEL)
    if side == "ours":
        ours = prepare_for_inference(network)
        before = read_proc_bytes("self/status", "VmRSS")
        ours(image0, image1)
    else:
        peer = kornia_loftr(network)
        before = read_proc_bytes("self/status", "VmRSS")
        peer({"image0": image0, "image1": image1})
    return read_proc_bytes("self/status", "VmHWM") - before  # getrusage would include the peak of the parent


def main() -> None:
    """Measure one side and print the result as JSON. Started by `peak_in_child`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("ours", "kornia"))
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    set_threads(arguments.threads)
    # If memory runs out, this process must fail, not another one.
    Path("/proc/self/oom_score_adj").write_text("1000")
    limit = read_proc_bytes("self/status", "VmSize") + available_memory()
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    print(json.dumps({"peak_bytes": peak_of_match(arguments.side, arguments.width, arguments.height)}))


if __name__ == "__main__":
    main()
