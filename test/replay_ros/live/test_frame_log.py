"""Answers of nodes are counted exactly, also where stamps repeat."""

from replay_ros.live.frame_log import FrameLog
from replay_ros.outputs import DETECTIONS, STATUS


def test_images_without_a_stamp_are_not_merged():
    log = FrameLog((DETECTIONS, STATUS))
    for _ in range(30):
        log.sent(0, 10)
    for topic, answers in ((DETECTIONS, 4), (STATUS, 3)):
        for _ in range(answers):
            log.answered(topic, 0, arrival=1e9)
    yolc, loftr = log.answers({DETECTIONS: "it dropped 26"})
    assert (yolc.images, yolc.answered, len(yolc.missed), yolc.ambiguous) == (30, 4, 26, 4)
    assert (loftr.images, loftr.answered, len(loftr.missed)) == (30, 3, 27)
    assert yolc.why_missed == "it dropped 26"
    assert all(not stage.seconds for stage in log.stages())  # whose time an answer took is not known


def test_in_lockstep_repeated_stamps_are_certain():
    log = FrameLog((STATUS,))
    for stamp in (1, 2, 1, 2):
        position = log.sent(stamp, received_ns=10 + stamp)
        assert not log.is_settled(position, STATUS)
        log.answered(STATUS, stamp, log.frames[position].sent + 0.5)
        assert log.is_settled(position, STATUS)
    (node,) = log.answers({})
    assert (node.answered, node.ambiguous) == (4, 0)
    assert log.stages()[0].images == (0, 1, 2, 3)


def test_an_answer_that_was_taken_for_a_refused_image_belongs_to_the_next_one():
    log = FrameLog((STATUS,))
    for _ in range(3):
        log.sent(0, 10)
    log.answered(STATUS, 0, 1e9)  # of the second image: the first one is cut
    assert log.suspects() == {0, 1, 2}
    log.refuse(STATUS, 0, "truncated")
    (node,) = log.answers({})
    assert (node.answered, node.refused_images, node.missed) == (1, 1, (2,))


def test_further_and_foreign_answers_do_not_count():
    log = FrameLog((STATUS,))
    position = log.sent(5, 5)
    for stamp in (5, 5, 6):
        log.answered(STATUS, stamp, 1e9)
    assert log.all_settled()
    assert log.is_settled(position, STATUS)
    assert log.answers({})[0].answered == 1
