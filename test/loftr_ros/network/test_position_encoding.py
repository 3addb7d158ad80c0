"""The sine encoding compared with its formula, cell by cell."""

from __future__ import annotations

import math

import pytest
import torch
from kornia.feature.loftr.utils.position_encoding import PositionEncodingSine

from loftr_ros.network.position_encoding import position_encoding


@pytest.mark.parametrize("form", ["fixed", "released"])
@pytest.mark.parametrize(("height", "width", "channels"), [(5, 7, 16), (1, 3, 96), (3, 300, 32)])
def test_direct_formula(form: str, height: int, width: int, channels: int) -> None:
    encoding = position_encoding(height, width, channels, form)  # type: ignore[arg-type]
    assert encoding.shape == (height, width, channels)
    for y in range(height):
        for x in range(0, width, 41):
            for k in range(channels // 4):
                frequency = 10000 ** (-2 * k / (channels / 2)) if form == "fixed" else math.exp(-2 * k)
                expected = [
                    math.sin((x + 1) * frequency),
                    math.cos((x + 1) * frequency),
                    math.sin((y + 1) * frequency),
                    math.cos((y + 1) * frequency),
                ]
                assert encoding[y, x, 4 * k : 4 * k + 4].tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("form", ["fixed", "released"])
def test_published_tables(form: str) -> None:
    table = PositionEncodingSine(256, (60, 80), temp_bug_fix=form == "fixed").pe[0]
    encoding = position_encoding(60, 80, 256, form)  # type: ignore[arg-type]
    torch.testing.assert_close(encoding.permute(2, 0, 1), table, atol=1e-5, rtol=0)


def test_maps_larger_than_the_published_tables() -> None:
    """The encoding of a cell does not depend on the size of the map, also beyond 256 cells."""
    large = position_encoding(270, 400, 32, "fixed")
    assert torch.equal(large[:10, :20], position_encoding(10, 20, 32, "fixed"))
    assert large[269, 399, :4].tolist() == pytest.approx(
        [math.sin(400), math.cos(400), math.sin(270), math.cos(270)], abs=1e-4
    )
