import torch
from torch import nn

from perception_common.training.average import WeightAverage


def test_the_average_follows_slowly_and_integers_are_copied():
    module = nn.BatchNorm2d(1)
    average = WeightAverage(module, decay=0.9)
    with torch.no_grad():
        module.weight.fill_(2.0)
    module.num_batches_tracked += 7
    average.update(module, step=1000)
    torch.testing.assert_close(average.state["weight"], torch.tensor([1.1]))
    assert average.state["num_batches_tracked"] == 7


def test_the_initial_weights_fade_quickly():
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, decay=0.9999)
    with torch.no_grad():
        module.weight.fill_(5.0)
    for step in range(1, 200):
        average.update(module, step)
    torch.testing.assert_close(average.state["weight"], module.weight.detach(), atol=0.01, rtol=0)


def test_the_module_gets_its_own_weights_back_after_the_block():
    module = nn.Linear(2, 2)
    average = WeightAverage(module, decay=0.5)
    own = module.weight.detach().clone()
    average.state["weight"].fill_(3.0)
    with average.applied_to(module):
        assert (module.weight == 3.0).all()
    assert torch.equal(module.weight, own)
