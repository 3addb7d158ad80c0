"""What a bridge says while it waits for other programs."""

from perception_common.node.bridges.peers import Peer, PeerWatch
from perception_common.node.problems import Problems


def watched(*names):
    there = dict.fromkeys(names, False)
    lines, warnings = [], []
    problems = Problems(warnings.append)
    kinds = {"/a": ("topic", "SLAM (package slam)"), "/b": ("service", "loftr_node")}
    peers = [Peer(kinds[name][0], name, kinds[name][1], lambda name=name: there[name]) for name in names]
    return there, lines, warnings, problems, PeerWatch(peers, problems, lines.append, now=0.0)


def test_what_is_missing_is_said_once_and_ends_when_it_comes():
    there, lines, warnings, problems, watch = watched("/a", "/b")
    assert lines == ["waiting for /a of SLAM (package slam), /b of loftr_node"]
    watch.check(now=4.0)
    assert warnings == []
    assert [peer.name for peer in watch.missing] == ["/a", "/b"]
    for now in (5.0, 6.0, 7.0):
        watch.check(now)
    assert warnings == [
        "there is no topic /a for 5 s: start SLAM (package slam), or remap the name",
        "there is no service /b for 5 s: start loftr_node, or remap the name",
    ]
    there["/a"] = True
    watch.check(now=8.0)
    assert list(problems.active()) == warnings[1:]
    there["/b"] = True
    watch.check(now=9.0)
    assert problems.active() == ()
    assert watch.missing == ()
    assert lines[1:] == ["everything that the bridge waits for is there"]


def test_a_peer_that_ends_is_missed_again():
    there, _, warnings, problems, watch = watched("/a")
    there["/a"] = True
    watch.check(now=100.0)
    there["/a"] = False
    watch.check(now=104.0)
    assert warnings == []
    watch.check(now=105.0)
    assert list(problems.active()) == ["there is no topic /a for 5 s: start SLAM (package slam), or remap the name"]
