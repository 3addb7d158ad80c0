"""The matched keyframe pairs of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from loftr_ros.geometry.scale.result import ScaleSource
from loftr_ros.geometry.two_view.relative_pose import Geometry
from replay_ros.report.content.images import KeyframePair, MatchKind
from replay_ros.report.reading.recording import RecordedReplay

SHOWN_MATCHES = 150  # per pair, empirical: more hide the picture
MIN_SHOWN_OF_KIND = 20  # empirical


def keyframe_pairs(recording: RecordedReplay, motion: Mapping[str, Any] | None) -> tuple[KeyframePair, ...]:
    """Return the pairs whose images are in the bag.

    motion: a MotionResult as plain values, for the errors. It names images by stamp; a repeated one has no errors here.
    """
    unique = recording.position_of_stamp
    edges = ((motion or {}).get("poses") or {}).get("details", ())
    edge_of = {(edge["older_ns"], edge["newer_ns"]): edge for edge in edges}
    pairs = []
    for message in recording.correspondences:
        older, newer = (recording.keyframes.get(keyframe.id) for keyframe in (message.older, message.newer))
        if older is None or newer is None:
            continue
        older_ns, newer_ns = recording.stamps_ns[older], recording.stamps_ns[newer]
        pose = recording.poses.get((message.older.id, message.newer.id))
        edge = edge_of.get((older_ns, newer_ns)) if {older_ns, newer_ns} <= unique.keys() else None
        kinds = np.where(np.asarray(message.dynamic, bool), MatchKind.DYNAMIC, np.asarray(message.inlier, int))
        shown = subsample_matches(kinds, SHOWN_MATCHES)
        pairs.append(
            KeyframePair(
                older=older,
                newer=newer,
                points0=np.stack([message.x0, message.y0], axis=1)[shown],
                points1=np.stack([message.x1, message.y1], axis=1)[shown],
                kinds=kinds[shown],
                counts={kind: int((kinds == kind).sum()) for kind in MatchKind},
                geometry="" if pose is None else Geometry(pose.geometry).name,
                reason="" if pose is None else pose.reason,
                scale="" if pose is None else ScaleSource(pose.scale_status).name,
                parallax_deg=None if pose is None else float(pose.parallax),
                residual_px=None if pose is None else float(pose.residual),
                rotation_error_deg=None if edge is None else edge["rotation_deg"],
                direction_error_deg=None if edge is None else edge["direction_deg"],
            )
        )
    return tuple(pairs)


def subsample_matches(kinds: np.ndarray, limit: int) -> np.ndarray:
    """Return the indices of about `limit` of N matches, evenly spaced, ascending.

    Each kind keeps its share, and at least MIN_SHOWN_OF_KIND matches if it has them. kinds: (N,) MatchKind.
    """
    kept = []
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        count = min(len(members), max(round(limit * len(members) / len(kinds)), MIN_SHOWN_OF_KIND))
        kept.append(members[np.linspace(0, len(members) - 1, count).round().astype(int)])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, int)
