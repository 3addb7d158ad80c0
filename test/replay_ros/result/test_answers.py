"""What became of each image: sums, causes, and words."""

import pytest

from replay_ros.result.answers import NodeAnswers, Refusal, node_answers, refused_images


def test_every_image_is_answered_refused_or_missed():
    node = node_answers(
        "yolc_node", 10, [0, 2, 3, 9], {1: "truncated: 17 bytes", 4: "empty", 5: "truncated: 912 bytes"}
    )
    assert (node.answered, node.refused_images, node.missed) == (4, 3, (6, 7, 8))
    assert node.answered + node.refused_images + len(node.missed) == node.images
    assert node.refused == (Refusal("truncated: 17 bytes", (1, 5)), Refusal("empty", (4,)))
    assert node.unanswered == (1, 4, 5, 6, 7, 8)
    assert node.loss == 0.3
    assert node.describe() == "yolc_node answered 4, refused 3, missed 3"


def test_an_answered_image_is_not_refused_and_no_reason_is_given_without_missed_ones():
    node = node_answers("yolc_node", 2, [0, 1], {1: "late"}, why_missed="it dropped 0")
    assert (node.answered, node.refused, node.why_missed) == (2, (), "")


@pytest.mark.parametrize("missed", [(1, 1), (5,), (-1,)])
def test_counts_that_do_not_add_up_are_refused(missed):
    with pytest.raises(ValueError, match="no distinct ones of 5"):
        NodeAnswers("yolc_node", 5, missed=missed)


def test_images_that_both_nodes_refuse_count_once():
    both = [node_answers(name, 3, [1], {0: "empty", 2: "empty"}) for name in ("yolc_node", "loftr_node")]
    assert refused_images(both) == (Refusal("empty", (0, 2)),)
