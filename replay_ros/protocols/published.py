"""Published figures for comparison. Areas under the curve and shares are in percent."""

from __future__ import annotations

from dataclasses import dataclass

LOFTR = "Sun et al., LoFTR, CVPR 2021"
EFFICIENT_LOFTR = "Wang et al., Efficient LoFTR, CVPR 2024"
ROMA = "Edstedt et al., RoMa, CVPR 2024"


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published table. values: in the order of the protocol's columns. source: paper and table."""

    method: str
    values: tuple[float, ...]
    source: str


HPATCHES = (
    PublishedRow("LoFTR-DS", (65.9, 75.6, 84.6), f"{LOFTR}, table 1"),
    PublishedRow("SuperPoint + SuperGlue", (53.9, 68.3, 81.7), f"{LOFTR}, table 1"),
)
SCANNET = (
    PublishedRow("LoFTR-DS", (22.06, 40.8, 57.62), f"{LOFTR}, table 2"),
    PublishedRow("LoFTR-OT", (21.51, 40.39, 57.96), f"{LOFTR}, table 2"),
    PublishedRow("LoFTR-OT, trained on MegaDepth", (16.88, 33.62, 50.62), f"{LOFTR}, table 2"),
    PublishedRow("SuperPoint + SuperGlue", (16.16, 33.81, 51.84), f"{LOFTR}, table 2"),
)
MEGADEPTH = (
    PublishedRow("LoFTR-DS", (52.8, 69.19, 81.18), f"{LOFTR}, table 3"),
    PublishedRow("LoFTR-OT", (50.31, 67.14, 79.93), f"{LOFTR}, table 3"),
    PublishedRow("SuperPoint + SuperGlue", (42.18, 61.16, 75.96), f"{LOFTR}, table 3"),
    PublishedRow("Efficient LoFTR", (56.4, 72.2, 83.5), EFFICIENT_LOFTR),
    PublishedRow("RoMa", (62.6, 76.7, 86.3), ROMA),
)
AACHEN = (
    PublishedRow("LoFTR-OT", (88.7, 95.6, 99.0, 78.5, 90.6, 99.0), f"{LOFTR}, table 4 (hloc)"),
    PublishedRow("SuperPoint + SuperGlue", (89.8, 96.1, 99.4, 77.0, 90.6, 100.0), f"{LOFTR}, table 4 (hloc)"),
)
INLOC = (
    PublishedRow("LoFTR-OT", (47.5, 72.2, 84.8, 54.2, 74.8, 85.5), f"{LOFTR}, table 5 (hloc)"),
    PublishedRow("SuperPoint + SuperGlue", (49.0, 68.7, 80.8, 53.4, 77.1, 82.4), f"{LOFTR}, table 5 (hloc)"),
)
