"""When parts are recorded as graphs and which graphs are kept; the recording itself needs a GPU and is replaced."""

import logging

import pytest
import torch
from torch import nn

from perception_common.backends.cuda_graphs import GraphRuntime
from perception_common.backends.devices import choose_device
from perception_common.backends.runtime import Method, Part


class Doubling(nn.Module):
    def doubled(self, x):
        return (2 * x,)


class Recorder:
    """Records by keeping the module. size of each recording and of each replay: the shape of the first input."""

    def __init__(self, error=None):
        self.recorded, self.replayed, self.error = [], [], error

    def __call__(self, module, size):
        self.recorded.append(size[0][0])
        if self.error is not None:
            raise self.error

        def replay(*inputs):
            self.replayed.append(tuple(inputs[0].shape))
            return module(*inputs)

        return replay


def parts(**options):
    return (Part("double", Method(Doubling(), "doubled"), ("x",), ("twice",), ({},), lambda size, seed: (), **options),)


def run(runtime, *sizes):
    for size in sizes:
        x = torch.arange(float(size))
        assert torch.equal(runtime.run("double", x)[0], 2 * x)


def test_a_size_is_recorded_when_it_is_seen_again():
    recorder = Recorder()
    runtime = GraphRuntime(parts(), recorder)
    run(runtime, 3)
    assert not recorder.recorded
    run(runtime, 3, 3, 4)
    assert recorder.recorded == [(3,)]
    assert recorder.replayed == [(3,), (3,)]


@pytest.mark.parametrize("other", [torch.ones(3, dtype=torch.float64), torch.ones(6)[::2], torch.ones(1, 3)])
def test_inputs_of_another_type_layout_or_shape_are_another_size(other):
    recorder = Recorder()
    runtime = GraphRuntime(parts(), recorder)
    run(runtime, 3, 3)
    runtime.run("double", other)
    assert len(recorder.replayed) == 1
    runtime.run("double", other)
    assert len(recorder.recorded) == 2


def test_the_graphs_used_last_are_kept():
    recorder = Recorder()
    runtime = GraphRuntime(parts(), recorder, kept=2)
    run(runtime, 1, 1, 2, 2, 1, 3, 3)  # 2 was used before 1
    assert recorder.recorded == [(1,), (2,), (3,)]
    run(runtime, 1)
    assert len(recorder.recorded) == 3
    run(runtime, 2)
    assert recorder.recorded[3:] == [(2,)]


def test_a_part_that_cannot_be_recorded_is_computed_as_usual(caplog):
    recorder = Recorder(RuntimeError("operation not permitted when stream is capturing\nmore lines"))
    runtime = GraphRuntime(parts(), recorder)
    with caplog.at_level(logging.WARNING):
        run(runtime, 3, 3, 3, 4, 4)
    assert len(recorder.recorded) == 1
    (line,) = caplog.messages
    assert line == (
        "no CUDA graph of double, it is computed as usual: operation not permitted when stream is capturing"
    )


def test_a_part_whose_sizes_change_from_image_to_image_is_not_recorded():
    recorder = Recorder()
    run(GraphRuntime(parts(repeats_sizes=False), recorder), 3, 3, 3)
    assert not recorder.recorded


def test_there_are_no_graphs_on_a_cpu():
    assert not choose_device("cpu", cuda_graphs=True).cuda_graphs
