"""Prepared networks with weights that are not finite are refused by name."""

import pytest
import torch
from torch import nn

from perception_common.backends.batch_norm import fold_batch_norm
from perception_common.errors import InputError
from perception_common.weights import check_prepared


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()).eval()


def test_finite_weights_pass():
    folded = network()
    fold_batch_norm(folded)
    check_prepared(folded, torch.float32)
    check_prepared(folded.half(), torch.float16)


def test_a_bias_that_overflows_at_the_cast_is_refused_though_the_outputs_are_finite():
    large = network()
    large[0].bias.data[1] = -1e6  # finite in float32, -inf in float16
    fold_batch_norm(large)
    check_prepared(large, torch.float32)
    half = large.half()
    assert half(torch.ones(1, 1, 4, 4).half()).isfinite().all()  # the ReLU hides it
    with pytest.raises(InputError, match=r"1 of .* \(0\.bias\); they are too large for float16: use precision fp32"):
        check_prepared(half, torch.float16)


def test_a_negative_variance_of_batch_normalisation_is_refused():
    damaged = network()
    damaged[1].running_var[0] = -1.0
    fold_batch_norm(damaged)
    with pytest.raises(InputError, match=r"2 of .* \(0\.weight, 0\.bias\); the variances .* use other weights"):
        check_prepared(damaged, torch.float32)
