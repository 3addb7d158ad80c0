"""The command evaluate_pairs: exact pairs of drawn scenes, the published figures of SIFT and ORB, and bad input."""

import json

import cv2
import numpy as np
import pytest
import torch

from loftr_ros.network.config import LoFTRConfig
from loftr_ros.network.loftr import LoFTR
from perception_common.backends.devices import choose_device
from perception_common.config import load_yaml
from perception_common.errors import InputError
from perception_common.resources import find_config, find_weights
from perception_common.weights import save_weights
from replay_ros.commands.evaluate import pairs as evaluate_pairs
from replay_ros.evaluation.pairs.estimators import ESTIMATORS
from replay_ros.evaluation.pairs.matchers import BaselineMatcher, load_pair_matcher

K = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])


@pytest.fixture(scope="module")
def ground():
    """A texture with spots of all sizes, 640x480."""
    rng = np.random.default_rng(0)
    noise = sum(cv2.resize(rng.normal(size=(480 // n, 640 // n)), (640, 480), interpolation=3) for n in (4, 8, 16, 32))
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


@pytest.fixture(scope="module")
def pairs(ground, tmp_path_factory):
    """A plane at 1 m with its homography, and a step (right half at 2 m) with its pose."""
    R = cv2.Rodrigues(np.array([0.05, -0.03, 0.2]))[0]
    t = np.array([0.2, -0.1, 0.05])
    H, H_far = (K @ (R + np.outer(t, [0, 0, 1]) / depth) @ np.linalg.inv(K) for depth in (1, 2))
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    folder = tmp_path_factory.mktemp("pairs")
    cv2.imwrite(str(folder / "a.png"), ground)
    cv2.imwrite(str(folder / "plane.png"), cv2.warpPerspective(ground, H, (640, 480)))
    is_near = np.zeros_like(ground)
    is_near[:, :320] = 1
    near, far, is_near = (
        cv2.warpPerspective(image, matrix, (640, 480)) for image, matrix in ((ground, H), (ground, H_far), (is_near, H))
    )
    cv2.imwrite(str(folder / "step.png"), np.where(is_near, near, far))
    names = {"a": "a.png", "b": "plane.png"}
    posed = {"a": "a.png", "b": "step.png", "K_a": K.tolist(), "K_b": K.tolist(), "T_ab": T.tolist()}
    for name, entries in (("posed", [posed]), ("planes", [names | {"H_ab": H.tolist()}])):
        (folder / f"{name}.json").write_text(json.dumps({"pairs": entries}))
    return folder


def run(*arguments):
    """Run the command and return its JSON."""
    path = arguments[0].parent / "result.json"
    assert evaluate_pairs.main([*map(str, arguments), "--json", str(path)]) == 0
    return json.loads(path.read_text())


@pytest.mark.parametrize("matcher", ["sift", "orb", "sift_mutual"])
@pytest.mark.parametrize("side", [0, 480])
def test_corner_errors_are_in_pixels_of_the_stored_image(pairs, matcher, side):
    result = run(pairs / "planes.json", "--matcher", matcher, "--max-side", side)
    assert result["corner_px"] < 1.0
    assert (result["pairs"], result["success_5deg"], result["failures"]) == (1, None, 0)
    assert result["details"][0]["geometry"] == "PLANAR"


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_follows_the_pose_convention_of_the_file(pairs, estimator):
    if estimator == "poselib":
        pytest.importorskip("poselib")
    result = run(pairs / "posed.json", "--matcher", "sift", "--estimator", estimator)
    # The inverse of the right pose would be 23 degrees off in rotation alone.
    assert result["details"][0]["error_degrees"] < 2
    assert result["details"][0]["geometry"] == "GENERAL"
    assert result["details"][0]["inliers"] > 50
    assert result["estimator"] == estimator
    assert result["median_degrees"] == result["details"][0]["error_degrees"]


def test_repeated_options_are_evaluated_in_all_combinations(pairs, capsys):
    result = run(
        pairs / "posed.json", *("--matcher", "sift", "--matcher", "orb", "--max-side", 320, "--max-side", 640),
        *("--estimator", "opencv", "--estimator", "fallback"),
    )  # fmt: skip
    combinations = [(each["matcher"], each["max_side"], each["estimator"]) for each in result["runs"]]
    assert combinations == [(m, s, e) for m in ("sift", "orb") for s in (320, 640) for e in ("opencv", "fallback")]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(("| sift", "| orb")) for line in lines) == 8
    assert any("USAC_MAGSAC, 1 px" in line for line in lines)


def test_thresholds_and_estimators_sweep_over_cached_matches(pairs, tmp_path, monkeypatch):
    def figures(*options):
        arguments = (pairs / "posed.json", "--matcher", "sift", "--max-side", 320, *options)
        result = run(*arguments, "--cache", tmp_path / "matches")
        return {(each["estimator"], each["threshold"]): each["details"][0] for each in result.get("runs", [result])}

    (first,) = figures().values()

    def never(*arguments):
        raise AssertionError("it matched again")

    monkeypatch.setattr(BaselineMatcher, "encode", never)
    sweep = figures("--estimator", "opencv", "--estimator", "fallback", "--threshold", 0.5, "--threshold", 2)
    assert list(sweep) == [(name, px) for name in ("opencv", "fallback") for px in (0.5, 2)]
    assert {each["matches"] for each in sweep.values()} == {first["matches"]}
    assert sweep["opencv", 0.5]["inliers"] < sweep["opencv", 2]["inliers"]
    with pytest.raises(AssertionError, match="matched again"):
        figures("--max-side", 240)


def test_several_sets_are_compared_in_one_table(pairs, tmp_path, capsys):
    other = tmp_path / "planes_b"
    other.mkdir()
    for name in ("planes.json", "a.png", "plane.png"):
        (other / name).write_bytes((pairs / name).read_bytes())
    path = tmp_path / "table.json"
    sets = (pairs / "posed.json", other / "planes.json")
    matchers = ("--matcher", "sift", "--matcher", "orb")
    assert evaluate_pairs.main([*map(str, sets), *matchers, "--max-side", "320", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert head == ["matcher", "estimator", "px", "long side", "rotation", "b turned", pairs.name, "planes_b"]
    (sift,) = [line for line in lines[:4] if line.startswith("| sift")]
    content = json.loads(path.read_text())["sets"]
    posed, plane = (content[name]["runs"][0]["details"][0] for name in (pairs.name, "planes_b"))
    assert posed["error_degrees"] < 5
    assert " 1 of 1, " in sift
    assert f" {plane['corner_px']:.2f} px, " in sift
    assert [run["matcher"] for run in content["planes_b"]["runs"]] == ["sift", "orb"]
    assert [content[name]["truth"] for name in content] == [str(each) for each in sets]
    assert sum(line.startswith("### ") for line in lines) == 2


def test_sets_of_one_folder_have_their_paths_as_names(pairs, capsys):
    sets = [str(pairs / name) for name in ("posed.json", "planes.json")]
    evaluate_pairs.main([*sets, "--matcher", "orb", "--max-side", "320"])
    head = capsys.readouterr().out.splitlines()[0]
    assert all(f" {name} " in head for name in sets)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_image_b_keeps_the_pose_and_the_homography_of_a_pair(pairs, degrees):
    """SIFT is invariant to rotation, so the pair is solved as well when its truth is turned rightly."""
    options = ("--matcher", "sift", "--turn-b", degrees, "--rotation", "try", "--max-side", 480)
    posed = run(pairs / "posed.json", *options, "--estimator", "fallback")
    assert posed["details"][0]["error_degrees"] < 2
    assert (posed["turned_b"], posed["rotation"]) == (degrees, "try")
    assert run(pairs / "planes.json", *options)["corner_px"] < 1.0


def test_turned_images_are_matched_as_upright_ones(pairs, capsys):
    views = ("--turn-b", 0, "--turn-b", 180, "--rotation", "off", "--rotation", "auto", "--rotation", "try")
    result = run(pairs / "posed.json", "--matcher", "loftr_lite", "--max-side", 320, "--estimator", "fallback", *views)
    found = {(each["turned_b"], each["rotation"]): each["details"][0] for each in result["runs"]}
    assert list(found) == [(turn, rotation) for turn in (0, 180) for rotation in ("off", "auto", "try")]
    upright = found[0, "off"]
    for view in [(0, "auto"), (0, "try"), (180, "auto"), (180, "try")]:
        assert found[view]["matches"] == upright["matches"]
        assert abs(found[view]["error_degrees"] - upright["error_degrees"]) < 1.0
    assert found[180, "off"]["matches"] < upright["matches"]
    rows = [line.split("|")[5:7] for line in capsys.readouterr().out.splitlines() if line.startswith("| loftr")]
    assert [(rotation.strip(), turn.strip()) for rotation, turn in rows] == [(r, str(t)) for t, r in found]


def test_two_runs_are_equal(pairs):
    def figures():
        result = run(pairs / "posed.json", "--matcher", "orb", "--estimator", "fallback")
        return [{k: v for k, v in each.items() if "seconds" not in k} for each in result["details"]]

    assert figures() == figures()


def test_the_network_of_a_weights_file_is_read_from_its_metadata(pairs):
    torch.manual_seed(0)
    network = LoFTR(load_yaml(LoFTRConfig, find_config("models/loftr_lite.yaml")))
    file = pairs / "random.safetensors"
    save_weights(network.state_dict(), file, {"model": "loftr_lite"})
    result = run(pairs / "posed.json", "--matcher", file, "--max-side", 128)
    assert result["matcher"] == "random.safetensors"
    assert len(result["weights_sha256"]) == 64
    assert result["details"][0]["error_degrees"] == 180 or result["details"][0]["matches"] >= 5
    with pytest.raises(InputError, match="does not fit"):
        evaluate_pairs.main([str(pairs / "posed.json"), "--matcher", str(file), "--model", "loftr_outdoor_ds"])


def test_a_calibration_in_millimetres_is_named(pairs, tmp_path, capsys):
    entry = json.loads((pairs / "posed.json").read_text())["pairs"][0]
    for name in ("a.png", "step.png"):
        (tmp_path / name).write_bytes((pairs / name).read_bytes())
    entry["K_b"] = (np.array(entry["K_b"]) * [[0.008], [0.008], [1]]).tolist()
    (tmp_path / "pairs.json").write_text(json.dumps({"pairs": [entry]}))
    (odd,) = run(tmp_path / "pairs.json", "--matcher", "sift")["odd_calibrations"]
    assert odd.startswith("step.png: the focal lengths 4 and 4 px")
    assert "1 images have an odd K (step.png" in capsys.readouterr().out
    assert run(pairs / "posed.json", "--matcher", "sift")["odd_calibrations"] == []


def test_failures_count_as_180_degrees(pairs):
    cv2.imwrite(str(pairs / "blank.png"), np.full((480, 640), 90, np.uint8))
    content = json.loads((pairs / "posed.json").read_text())
    content["pairs"][0]["b"] = "blank.png"
    (pairs / "blank.json").write_text(json.dumps(content))
    result = run(pairs / "blank.json", "--matcher", "sift", "--matcher", "orb", "--estimator", "opencv")
    for each in result["runs"]:
        assert (each["failures"], each["success_5deg"], each["median_degrees"]) == (1, 0, 180)
        assert each["auc"] == {"5": 0, "10": 0, "20": 0}


@pytest.mark.parametrize("gray", [np.zeros((64, 64), np.uint8), np.full((16, 16), 255, np.uint8)])
@pytest.mark.parametrize("name", ["sift", "orb", "sift_mutual"])
def test_blank_images_have_no_matches(name, gray, ground):
    matcher = load_pair_matcher(name, None, choose_device("cpu"))
    blank, full = matcher.encode(gray), matcher.encode(ground)
    for a, b in ((blank, full), (full, blank), (blank, blank)):
        points_a, points_b, confidence = matcher.match(a, b)
        assert points_a.shape == points_b.shape == (0, 2)
        assert confidence.shape == (0,)


def test_loftr_matches_at_the_given_size(ground):
    matcher = load_pair_matcher("loftr_lite", None, choose_device("cpu"))
    features = matcher.encode(ground[:96, :128])
    points_a, points_b, confidence = matcher.match(features, features)
    assert points_a.dtype == points_b.dtype == confidence.dtype == np.float64
    assert points_a.shape == points_b.shape == (len(confidence), 2)


class TestBadInput:
    def fails(self, message, *arguments):
        with pytest.raises(InputError, match=message) as caught:
            evaluate_pairs.main([*map(str, arguments), "--matcher", "sift"])
        assert "\n" not in str(caught.value)

    def test_missing_files(self, pairs):
        self.fails(r"none\.json: cannot be read", pairs / "none.json")
        (pairs / "gone.json").write_text((pairs / "posed.json").read_text().replace("step.png", "gone.png"))
        self.fails(r"gone\.png: is missing", pairs / "gone.json")

    def test_no_pairs(self, pairs):
        (pairs / "empty.json").write_text('{"pairs": []}')
        self.fails("holds no pairs", pairs / "empty.json")

    def test_unknown_names_and_invalid_numbers(self, pairs):
        self.fails(
            r"'superglue' is neither a weights file nor one of sift, orb, .*loftr_lite",
            pairs / "posed.json",
            "--matcher",
            "superglue",
        )
        self.fails(r"nothing\.safetensors does not exist", pairs / "posed.json", "--matcher", "nothing.safetensors")
        self.fails("--max-side", pairs / "posed.json", "--max-side", "-1")
        self.fails("--threshold", pairs / "posed.json", "--threshold", "0")

    @pytest.mark.skipif(find_weights("loftr_outdoor_ds") is not None, reason="its weights are there")
    def test_a_network_without_shipped_weights(self, pairs):
        self.fails("no weights are shipped", pairs / "posed.json", "--matcher", "loftr_outdoor_ds")


@pytest.mark.shared_data
class TestPublishedFigures:
    """The figures published with the data, from another implementation of the same protocol."""

    def test_sift_on_the_drone_frames(self, shared_data, tmp_path):
        path = tmp_path / "result.json"
        evaluate_pairs.main(
            [str(shared_data / "odm_brighton_beach" / "pairs.json"), "--matcher", "sift", "--json", str(path)]
        )
        result = json.loads(path.read_text())
        assert (result["pairs"], result["success_5deg"]) == (37, 30)
        assert result["auc"] == pytest.approx({"5": 0.62, "10": 0.72, "20": 0.76}, abs=0.005)

    def test_sift_and_orb_on_graf(self, shared_data, tmp_path):
        path = tmp_path / "result.json"
        pairs = shared_data / "opencv_doc_pairs" / "pairs.json"
        evaluate_pairs.main(
            [str(pairs), "--matcher", "sift", "--matcher", "orb", "--max-side", "0", "--json", str(path)]
        )
        sift, orb = json.loads(path.read_text())["runs"]
        assert (sift["corner_px"], orb["corner_px"]) == pytest.approx((3.34, 1.99), abs=0.01)
