"""InLoc: matches for hloc's localisation of indoor queries (LoFTR, section 4.3, table 5).

FOLDER holds query/ and database/ as in hloc's InLoc pipeline; pairs are hloc's pairs/inloc/pairs-query-netvlad40.txt.
Each query is localised in the scans of its own pairs. Keypoints need not be shared by many images, so they are merged
within one pixel only.
"""

from __future__ import annotations

from replay_ros.protocols.keypoint_merging import MergingOptions

MERGING = MergingOptions(cell=1.0, radius=1.0, max_keypoints=0)
COLUMNS = tuple(f"{place} {limit}" for place in ("DUC1", "DUC2") for limit in ("0.25m,10deg", "0.5m,10deg", "1m,10deg"))
NEXT_STEPS = """\
next: python -m hloc.localize_inloc --dataset_dir {folder} --retrieval pairs-query-netvlad40.txt \\
        --features {features} --matches {matches} --results inloc.txt, and the benchmark's server"""
