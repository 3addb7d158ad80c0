import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import perception_common
from perception_common.errors import InputError
from perception_common.training.distributed import Processes, SynchronisedBatchNorm, synchronise_batch_norm

PACKAGES = str(Path(perception_common.__file__).parents[1])  # for child processes
SCRIPT = """
import sys, torch
from torch import nn
from perception_common.training.distributed import distributed, synchronise_batch_norm

with distributed(torch.device("cpu")) as processes:
    content = torch.load(sys.argv[1])
    norm = synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(3)), processes)
    share = processes.share(8)
    x = content["x"][share].requires_grad_()
    y = norm(x)
    (y * content["w"][share]).sum().backward()
    gathered = processes.gather((y.detach(), x.grad))
    flags = processes.any(processes.rank == 1), processes.any(False)
    total = processes.sum(norm[0].weight.grad)
    if processes.is_main:
        torch.save((gathered, norm.state_dict(), total, flags), sys.argv[2])
"""


@pytest.mark.slow
def test_two_processes_normalise_like_one(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(8, 3, 5, 4, generator=generator) + 2 for _ in range(2))
    torch.save({"x": x, "w": w}, tmp_path / "in.pt")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [*command, tmp_path / "script.py", tmp_path / "in.pt", tmp_path / "out.pt"],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PACKAGES},
    )
    gathered, state, weight_gradient, flags = torch.load(tmp_path / "out.pt")

    norm = nn.Sequential(nn.BatchNorm2d(3))
    x.requires_grad_()
    y = norm(x)
    (y * w).sum().backward()
    torch.testing.assert_close(torch.cat([part[0] for part in gathered]), y.detach())
    torch.testing.assert_close(torch.cat([part[1] for part in gathered]), x.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(weight_gradient, norm[0].weight.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dict(state), dict(norm.state_dict()))
    assert flags == (True, False)


def test_a_batch_is_split_without_gaps():
    shares = [Processes(rank, 3).share(12) for rank in range(3)]
    assert [n for share in shares for n in range(12)[share]] == list(range(12))
    with pytest.raises(InputError, match="batch of 7"):
        Processes(0, 2).share(7)


def test_one_process_keeps_batch_norm_of_torch():
    norm = synchronise_batch_norm(nn.Sequential(nn.BatchNorm2d(3)), Processes())
    assert not isinstance(norm[0], SynchronisedBatchNorm)
