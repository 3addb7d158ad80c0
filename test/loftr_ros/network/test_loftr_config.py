"""Configurations that no network can have are refused, with the number that is wrong."""

import pytest

from loftr_ros.network.config import FineConfig, LoFTRConfig, MatchingConfig, SelectionConfig, TransformerConfig


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TransformerConfig(heads=0), "heads must be at least 1, got 0"),
        (lambda: LoFTRConfig(coarse=TransformerConfig(heads=7)), "coarse: 7 heads do not divide the width 256"),
        (lambda: MatchingConfig(temperature=0.0), "temperature must be positive"),
        (lambda: SelectionConfig(threshold=1.0), "threshold must lie between 0 and 1"),
        (lambda: FineConfig(window=4), "window must be odd and at least 3, got 4"),
    ],
)
def test_impossible_numbers_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
