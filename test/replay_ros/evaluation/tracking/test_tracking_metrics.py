"""Scores of ids: in closed form, and beside trackeval where it is installed."""

import math

import numpy as np
import pytest

from replay_ros.evaluation.tracking.metrics import IdSwitch, TrackedBoxes, score_tracking
from yolc_ros.boxes import pairwise_iou


def image(*objects):
    """An image of objects (x, id) with one box each, 10 pixels wide."""
    boxes = np.array([[x, 0.0, x + 10.0, 10.0] for x, _ in objects]).reshape(-1, 4)
    return TrackedBoxes(boxes, np.array([number for _, number in objects], np.int64), np.zeros(len(objects), np.int64))


def test_the_truth_itself_is_perfect_under_other_names():
    truth = [image((0, 7), (50, 9)), image((1, 7), (51, 9))]
    found = [image((50, 100), (0, 3)), image((1, 3), (51, 100))]
    scores = score_tracking(truth, found)
    assert (scores.hota, scores.idf1, scores.mota, scores.id_switches) == (1.0, 1.0, 1.0, 0)
    assert (scores.objects, scores.boxes, scores.tracks) == (2, 4, 2)


def test_a_switch_in_the_middle_halves_idf1():
    truth = [image((0, 1))] * 4
    found = [image((0, 1)), image((0, 1)), image((0, 2)), image((0, 2))]
    scores = score_tracking(truth, found)
    assert scores.switches == (IdSwitch(image=2, object=1, before=1, after=2),)
    assert scores.id_switches == 1
    assert scores.idf1 == pytest.approx(2 * 2 / (4 + 4))  # 2 IDTP / (boxes of both sides)
    assert scores.mota == pytest.approx(1 - 1 / 4)


def test_another_class_is_no_match():
    truth = [image((0, 1))]
    wrong = [TrackedBoxes(truth[0].boxes, truth[0].ids, np.ones(1, np.int64))]
    assert score_tracking(truth, wrong).idf1 == 0.0
    assert score_tracking(truth, [image()]).mota == 0.0


def test_hota_is_that_of_the_paper_for_a_switch():
    truth = [image((0, 1))] * 4
    found = [image((0, 1)), image((0, 1)), image((0, 1)), image((0, 2))]
    # All boxes are hits: DetA is 1. AssA: three hits with 3 of 4 common images, one with 1 of 4.
    assert score_tracking(truth, found).hota == pytest.approx(math.sqrt((3 * 3 / 4 + 1 / 4) / 4))
    shifted = [image((5, 1))] * 4  # IoU of a third: a hit for the thresholds 0.05 to 0.30 of the 19
    assert score_tracking(truth, shifted).hota == pytest.approx(6 / 19)


def test_a_pair_stays_together_while_another_box_fits_better():
    truth = [image((0, 1))] * 2
    found = [image((1, 5)), image((1, 5), (0, 6))]
    assert score_tracking(truth, found).id_switches == 0


def test_nothing_has_no_score():
    scores = score_tracking([image()], [image()])
    assert all(math.isnan(value) for value in (scores.hota, scores.idf1, scores.mota))


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_trackeval(seed):
    metrics = pytest.importorskip("trackeval.metrics")
    rng = np.random.default_rng(seed)
    truths, found = [], []
    places = rng.uniform(0, 200, 12)
    names = rng.permutation(100)[:12]
    for _ in range(15):
        places = places + rng.normal(0, 3, 12)
        for k in np.flatnonzero(rng.random(12) < 0.1):
            names[k] = rng.choice(np.setdiff1d(np.arange(200), names))
        there, seen = rng.random(12) < 0.8, rng.random(12) < 0.8
        truths.append(image(*zip(places[there], np.flatnonzero(there), strict=True)))
        found.append(image(*zip((places + rng.normal(0, 2, 12))[seen], names[seen], strict=True)))
    ids = [np.unique(np.concatenate([each.ids for each in side])) for side in (truths, found)]
    data = {
        "num_timesteps": len(truths),
        "num_gt_ids": len(ids[0]),
        "num_tracker_ids": len(ids[1]),
        "num_gt_dets": sum(len(each.ids) for each in truths),
        "num_tracker_dets": sum(len(each.ids) for each in found),
        "gt_ids": [np.searchsorted(ids[0], each.ids) for each in truths],
        "tracker_ids": [np.searchsorted(ids[1], each.ids) for each in found],
        "similarity_scores": [pairwise_iou(a.boxes, b.boxes) for a, b in zip(truths, found, strict=True)],
    }
    hota, clear, identity = (getattr(metrics, name)().eval_sequence(data) for name in ("HOTA", "CLEAR", "Identity"))
    scores = score_tracking(truths, found)
    assert scores.hota == pytest.approx(float(np.mean(hota["HOTA"])))
    assert scores.idf1 == pytest.approx(identity["IDF1"])
    assert scores.mota == pytest.approx(clear["MOTA"])
    assert scores.id_switches == clear["IDSW"]
