"""Aachen Day-Night v1.1: matches for hloc's localisation of the queries (LoFTR, section 4.3, table 4).

FOLDER is images_upright (db/, query/, sequences/); pairs are hloc's pairs/aachen_v1.1: pairs-db-covis20.txt for the
map and pairs-query-netvlad50.txt for the queries. Give both in one run, so that they share keypoints. The benchmark
(visuallocalization.net) evaluates the poses that hloc estimates; its ground truth is not public.
"""

from __future__ import annotations

from replay_ros.protocols.keypoint_merging import MergingOptions

MERGING = MergingOptions(cell=8.0, radius=2.0, max_keypoints=8192)  # as hloc's match_dense for Aachen
COLUMNS = tuple(f"{time} {limit}" for time in ("day", "night") for limit in ("0.25m,2deg", "0.5m,5deg", "1m,10deg"))
NEXT_STEPS = """\
next: python -m hloc.triangulation --sfm_dir sfm --reference_sfm_model 3D-models/aachen_v_1_1 --image_dir {folder} \\
        --pairs pairs-db-covis20.txt --features {features} --matches {matches}
      then hloc.localize_sfm with --retrieval pairs-query-netvlad50.txt, and the benchmark's server"""
