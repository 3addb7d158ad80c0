"""Aachen and InLoc on miniature folders: the files are read as hloc reads them."""

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.commands.evaluate import protocol as evaluate_protocol
from replay_ros.protocols import published
from replay_ros.protocols.hloc_export import read_pair_names

pytestmark = pytest.mark.slow

h5py = pytest.importorskip("h5py")

SHIFTS = {"db/1.jpg": (0, 0), "db/2.jpg": (40, 0), "query/night/q.jpg": (20, 30)}
FIRST, SECOND, QUERY = SHIFTS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Crops of 1200 x 900 from one picture, each at its shift; pairs files for the map and the query."""
    root = tmp_path_factory.mktemp("aachen")
    rng = np.random.default_rng(0)
    layers = (rng.normal(size=(1000 // n, 1300 // n)) for n in (8, 16, 32, 64))
    noise = sum(cv2.resize(layer, (1300, 1000), interpolation=cv2.INTER_CUBIC) for layer in layers)
    picture = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    for name, (x, y) in SHIFTS.items():
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture[y : y + 900, x : x + 1200])
    (root / "pairs-db.txt").write_text(f"{FIRST} {SECOND}\n\n{SECOND} {FIRST}\n")
    (root / "pairs-query.txt").write_text(f"{QUERY} {FIRST}\n{QUERY} {SECOND}\n")
    return root


def run(folder, output, protocol="aachen", matcher="sift"):
    pairs = ("--pairs", folder / "pairs-db.txt", "--pairs", folder / "pairs-query.txt")
    arguments = (protocol, folder / "images", *pairs, "--output", output, "--matcher", matcher)
    assert evaluate_protocol.main([*map(str, arguments)]) == 0


@pytest.fixture(scope="module")
def outputs(folder, tmp_path_factory):
    """The output folders of both exports, by protocol."""
    folders = {protocol: tmp_path_factory.mktemp(protocol) for protocol in ("aachen", "inloc")}
    for protocol, output in folders.items():
        run(folder, output, protocol)
    return folders


def keypoints_of(output, name):
    """What hloc.utils.io.get_keypoints does."""
    with h5py.File(output / "features.h5") as file:
        return file[name]["keypoints"][()]


def matches_of(output, name0, name1):
    """What hloc.utils.io.get_matches does."""
    with h5py.File(output / "matches.h5") as file:
        group = file["/".join(name.replace("/", "-") for name in (name0, name1))]
        matches, scores = group["matches0"][()], group["matching_scores0"][()]
    index = np.flatnonzero(matches != -1)
    return np.column_stack([index, matches[index]]), scores[index]


@pytest.mark.parametrize("protocol", ["aachen", "inloc"])
def test_matched_keypoints_have_the_shifts_of_the_crops(outputs, protocol):
    output = outputs[protocol]
    for name0, name1 in ((FIRST, SECOND), (QUERY, FIRST), (QUERY, SECOND)):
        keypoints0, keypoints1 = keypoints_of(output, name0), keypoints_of(output, name1)
        matches, scores = matches_of(output, name0, name1)
        assert len(matches) > 100
        assert len(set(matches[:, 0])) == len(set(matches[:, 1])) == len(matches)
        assert keypoints0.dtype == np.float32
        assert (scores > 0).all()
        moved = keypoints0[matches[:, 0]] - keypoints1[matches[:, 1]]
        expected = np.subtract(SHIFTS[name1], SHIFTS[name0])
        assert np.linalg.norm(np.median(moved, axis=0) - expected) < 0.2
        assert np.median(np.linalg.norm(moved - expected, axis=1)) < (2 if protocol == "aachen" else 1)


def test_pairs_share_keypoints(outputs):
    output = outputs["aachen"]
    in_map = dict(matches_of(output, FIRST, SECOND)[0].tolist())
    from_query = [dict(matches_of(output, QUERY, name)[0].tolist()) for name in (FIRST, SECOND)]
    closed = [
        in_map[one] == from_query[1][q] for q, one in from_query[0].items() if one in in_map and q in from_query[1]
    ]
    assert len(closed) > 50
    assert np.mean(closed) > 0.9


def test_the_printed_summary(folder, tmp_path, capsys):
    run(folder, tmp_path / "new" / "folder", matcher="orb")
    text = capsys.readouterr().out
    assert "3 images" in text
    assert "3 pairs" in text  # a repeated pair counts once
    assert "hloc.triangulation" in text
    assert all(f" {value:g} " in text for value in published.AACHEN[0].values)


class TestBadInput:
    def test_pairs_files(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_pair_names([tmp_path / "none.txt"])
        for text, message in (("", "hold no pairs"), ("a b c", "line 1: expected two"), ("a a", "expected two")):
            (tmp_path / "pairs.txt").write_text(text)
            with pytest.raises(InputError, match=message):
                read_pair_names([tmp_path / "pairs.txt"])

    def test_missing_and_broken_images(self, folder, tmp_path):
        pairs = tmp_path / "pairs.txt"
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "a.jpg").write_text("nothing")
        for names, message in (("a.jpg b.jpg", "b.jpg is missing"), (f"a.jpg ../{'images/a.jpg'}", "is not an image")):
            pairs.write_text(names)
            with pytest.raises(InputError, match=message):
                evaluate_protocol.main(
                    ["inloc", str(tmp_path / "images"), "--pairs", str(pairs), "--output", str(tmp_path / "out"),
                     "--matcher", "sift"]
                )  # fmt: skip

    def test_without_h5py(self, folder, tmp_path, monkeypatch):
        import importlib.util

        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(InputError, match="pip install h5py"):
            run(folder, tmp_path)
