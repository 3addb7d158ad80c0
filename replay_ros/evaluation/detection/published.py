"""Published scores of YOLC, for comparison."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedScore:
    """A row of a paper. ap, ap50, ap75: 0 to 1; None where the paper's figure is not available to us."""

    dataset: str
    method: str
    protocol: str
    ap: float
    ap50: float | None = None
    ap75: float | None = None


# Liu et al., "YOLC: You Only Look Clusters for Tiny Object Detection in Aerial Images", IEEE T-ITS 25(10), 2024,
# arXiv 2404.06180. Its code evaluates as `yolc-release`; on UAVDT it reports the AP of COCO, not that of UAVDT.
PUBLISHED = (
    PublishedScore("visdrone", "YOLC with LSM (paper, val)", "yolc-release", 0.383),
    PublishedScore("visdrone", "YOLC, multi-scale (paper, val)", "yolc-release", 0.401),
    PublishedScore("uavdt", "YOLC (paper, test)", "coco", 0.193),
)


def published_for(dataset: str, protocol: str) -> tuple[PublishedScore, ...]:
    """Return the published scores for a dataset and a protocol."""
    return tuple(each for each in PUBLISHED if (each.dataset, each.protocol) == (dataset, protocol))
