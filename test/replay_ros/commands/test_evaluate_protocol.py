"""Each protocol on a miniature folder in the dataset's own format, with exact ground truth."""

import json
import pickle

import cv2
import numpy as np
import pytest

from perception_common.errors import InputError
from perception_common.geometry import so3_exp, transform
from replay_ros.commands.evaluate import protocol as evaluate_protocol
from replay_ros.evaluation.pairs.matchers import BaselineMatcher
from replay_ros.protocols import published

K = np.array([[500.0, 0, 319.5], [0, 500.0, 239.5], [0, 0, 1]])
T_AB = transform(so3_exp(np.array([0.05, -0.03, 0.2])), np.array([0.2, -0.1, 0.05]))


def picture(width=640, height=480, seed=0):
    """A texture with spots of all sizes."""
    rng = np.random.default_rng(seed)
    layers = (rng.normal(size=(height // n, width // n)) for n in (8, 16, 32, 64))
    noise = sum(cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) for layer in layers)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def two_views():
    """Two views of a step, 640 x 480: its left half is at 1 m, its right half at 2 m."""
    R, t = T_AB[:3, :3], T_AB[:3, 3]
    near, far = (K @ (R + np.outer(t, [0, 0, 1]) / depth) @ np.linalg.inv(K) for depth in (1, 2))
    ground = picture()
    is_near = np.zeros_like(ground)
    is_near[:, :320] = 1
    seen = [cv2.warpPerspective(*each, (640, 480)) for each in ((ground, near), (ground, far), (is_near, near))]
    return ground, np.where(seen[2], seen[0], seen[1])


def run(capsys, *arguments):
    """Run the command; return its output and, with --json, its runs."""
    assert evaluate_protocol.main([str(argument) for argument in arguments]) == 0
    text = capsys.readouterr().out
    if "--json" in arguments:
        return text, json.loads(arguments[arguments.index("--json") + 1].read_text())["runs"]
    return text


def assert_published_rows_are_printed(text, rows):
    for row in rows:
        line = next(line for line in text.splitlines() if line.startswith(f"| {row.method} "))
        assert all(f" {value:g} " in line for value in row.values)
        assert row.source in line


class TestHPatches:
    @pytest.fixture
    def folder(self, tmp_path):
        """Two sequences of 800 x 600, and one that the protocol leaves out."""
        for name in ("v_plane", "i_light", "v_talent"):
            path = tmp_path / "hpatches" / name
            path.mkdir(parents=True)
            image = picture(800, 600, seed=len(name))
            cv2.imwrite(str(path / "1.ppm"), cv2.merge([image] * 3))
            for k in range(2, 7):
                H = np.array([[1, 0.01 * k, 4.0 * k], [-0.02 * k, 1, 5], [1e-5 * k, 0, 1]])
                other = cv2.warpPerspective(image, H, (800, 600))
                if name == "i_light":
                    H, other = np.eye(3), cv2.convertScaleAbs(image, alpha=1 - 0.1 * k, beta=10)
                cv2.imwrite(str(path / f"{k}.ppm"), cv2.merge([other] * 3))
                np.savetxt(path / f"H_1_{k}", H)
        return tmp_path / "hpatches"

    def test_exact_homographies_of_resized_images(self, folder, tmp_path, capsys):
        text, runs = run(capsys, "hpatches", folder, "--matcher", "sift", "--json", tmp_path / "result.json")
        assert [(each["setting"], each["pairs"]) for each in runs] == [
            ("short side 480, all", 10),
            ("short side 480, illumination", 5),
            ("short side 480, viewpoint", 5),
        ]
        # The images are resized to 0.8; a homography at the wrong scale would have errors of tens of pixels.
        for each in runs:
            assert max(pair["error"] for pair in each["details"]) < 1
            assert each["values"]["AUC@10px"] > 90
            assert max(pair["matches"] for pair in each["details"]) <= 1024
        assert_published_rows_are_printed(text, published.HPATCHES)
        assert "these are 10 pairs, the protocol has 540" in text

    def test_thresholds_sweep_over_cached_matches(self, folder, tmp_path, capsys, monkeypatch):
        arguments = ("hpatches", folder, "--matcher", "orb", "--cache", tmp_path / "cache", "--limit", 7)
        run(capsys, *arguments)
        monkeypatch.setattr(BaselineMatcher, "match", None)
        _, runs = run(capsys, *arguments, "--threshold", 1, "--threshold", 3, "--json", tmp_path / "result.json")
        assert [each["threshold"] for each in runs] == [1, 1, 1, 3, 3, 3]
        assert runs[2]["details"][-1]["inliers"] < runs[5]["details"][-1]["inliers"]

    def test_an_image_without_matches_counts_as_a_failure(self, folder, tmp_path, capsys):
        cv2.imwrite(str(folder / "v_plane" / "2.ppm"), np.full((600, 800, 3), 128, np.uint8))
        _, runs = run(capsys, "hpatches", folder, "--matcher", "sift", "--json", tmp_path / "result.json")
        assert runs[0]["failures"] == 1
        assert runs[0]["values"]["AUC@10px"] == pytest.approx(90, abs=9)

    def test_bad_folders(self, folder, tmp_path):
        self.fails("is not a folder", tmp_path / "nowhere")
        self.fails("holds no sequences", tmp_path)
        (folder / "v_plane" / "H_1_3").write_text("1 2 3")
        self.fails("H_1_3 must hold 3x3", folder)
        (folder / "v_plane" / "H_1_3").unlink()
        self.fails("H_1_3 does not exist", folder)

    def fails(self, message, folder):
        with pytest.raises(InputError, match=message):
            evaluate_protocol.main(["hpatches", str(folder), "--matcher", "sift"])


class TestScanNet:
    @pytest.fixture
    def folder(self, tmp_path):
        """One scan of two views; the colour images are 1280 x 960, the intrinsics of 640 x 480."""
        scan = tmp_path / "scannet" / "scene0707_00"
        for kind in ("color", "pose"):
            (scan / kind).mkdir(parents=True)
        for stem, image, T_world_camera in zip((15, 585), two_views(), (np.eye(4), np.linalg.inv(T_AB)), strict=True):
            cv2.imwrite(str(scan / "color" / f"{stem}.jpg"), cv2.resize(image, (1280, 960)))
            np.savetxt(scan / "pose" / f"{stem}.txt", T_world_camera)
        index = tmp_path / "index"
        index.mkdir()
        np.savez(index / "test.npz", name=np.array([[707, 0, 15, 585]], np.uint16))
        np.savez(index / "intrinsics.npz", scene0707_00=K)
        return tmp_path / "scannet"

    def test_poses_of_both_estimators(self, folder, tmp_path, capsys):
        arguments = ("scannet", folder, "--index", tmp_path / "index", "--matcher", "sift")
        text, runs = run(
            capsys, *arguments, "--estimator", "opencv-ransac", "--estimator", "fallback",
            "--json", tmp_path / "result.json",
        )  # fmt: skip
        assert [each["estimator"] for each in runs] == ["opencv-ransac, 0.5 px", "fallback, 1 px"]
        for each in runs:
            (pair,) = each["details"]
            assert pair["name"] == "scene0707_00/15-585"
            assert pair["error"] < 3
            assert pair["signed_error"] == pytest.approx(pair["error"], abs=1e-6)  # T_ab, not its inverse
            assert each["values"]["AUC@20"] > 85
        assert_published_rows_are_printed(text, published.SCANNET)
        assert "signed AUC" in text

    def test_bad_folders(self, folder, tmp_path):
        def fails(message):
            with pytest.raises(InputError, match=message):
                evaluate_protocol.main(["scannet", str(folder), "--index", str(index), "--matcher", "sift"])

        index = folder
        fails(r"holds no index of ScanNet-1500 .*--index")
        index = tmp_path / "index"
        (folder / "scene0707_00" / "pose" / "585.txt").write_text("-inf " * 16)
        fails("585.txt holds no pose: it is not a 4x4 matrix but 1x16")
        (folder / "scene0707_00" / "pose" / "585.txt").unlink()
        fails("585.txt does not exist")


class TestMegaDepth:
    @pytest.fixture
    def folder(self, tmp_path):
        """A scene file as published (a pickled dict with missing entries), and two images of 640 x 480."""
        images = tmp_path / "megadepth" / "Undistorted_SfM" / "0015" / "images"
        images.mkdir(parents=True)
        names = []
        for name, image in zip(("a.jpg", "b.jpg"), two_views(), strict=True):
            cv2.imwrite(str(images / name), image)
            names.append(f"Undistorted_SfM/0015/images/{name}")
        T_a = transform(so3_exp(np.array([0.3, 0.2, -1.0])), np.array([5.0, 6.0, 7.0]))

        def objects(*values):
            array = np.empty(len(values), object)
            array[:] = values
            return array

        poses, intrinsics = np.empty(3, object), np.empty(3, object)
        poses[0], poses[2], intrinsics[0], intrinsics[2] = T_a, T_AB @ T_a, K, K
        info = {
            "image_paths": objects(names[0], None, names[1]),
            "depth_paths": objects(None, None, None),
            "intrinsics": intrinsics,
            "poses": poses,
            "pair_infos": [(np.array([0, 2]), np.float64(0.2), np.zeros(4))],
        }
        index = tmp_path / "index"
        index.mkdir()
        (index / "0015_0.1_0.3.npz").write_bytes(pickle.dumps(info, protocol=4))
        return tmp_path / "megadepth"

    def test_matches_at_both_sizes_are_mapped_to_the_stored_image(self, folder, tmp_path, capsys):
        text, runs = run(
            capsys, "megadepth", folder, "--index", tmp_path / "index", "--matcher", "sift",
            "--estimator", "opencv-ransac", "--threshold", 0.5, "--threshold", 1, "--json", tmp_path / "result.json",
        )  # fmt: skip
        assert [(each["setting"], each["threshold"]) for each in runs] == [
            ("long side 840", 0.5),
            ("long side 840", 1),
            ("long side 1200", 0.5),
            ("long side 1200", 1),
        ]
        for each in runs:
            assert each["details"][0]["name"] == "0015_0.1_0.3/a-b"
            assert each["details"][0]["error"] < 3
        assert_published_rows_are_printed(text, published.MEGADEPTH)

    def test_images_padded_as_in_the_release_are_named(self, folder, tmp_path, capsys):
        arguments = ("megadepth", folder, "--index", tmp_path / "index", "--padding", "release")
        _, runs = run(
            capsys, *arguments, "--matcher", "loftr_lite", "--estimator", "opencv-ransac", "--long-side", 320,
            "--json", tmp_path / "result.json",
        )  # fmt: skip
        assert [each["setting"] for each in runs] == ["long side 320, padded"]
        with pytest.raises(InputError, match="--padding release is of LoFTR; leave it or --matcher sift out"):
            evaluate_protocol.main([*map(str, arguments), "--matcher", "sift"])

    def test_bad_folders(self, folder, tmp_path):
        with pytest.raises(InputError, match="holds no pairs of MegaDepth-1500"):
            evaluate_protocol.main(["megadepth", str(folder), "--matcher", "sift"])
        (tmp_path / "index" / "broken.npz").write_bytes(pickle.dumps({"pair_infos": [((0, 1), 0.2)]}))
        with pytest.raises(InputError, match=r"broken\.npz is not a scene file"):
            evaluate_protocol.main(["megadepth", str(folder), "--index", str(tmp_path / "index"), "--matcher", "sift"])


class TestOptions:
    @pytest.mark.parametrize("option", ["--threshold", "--limit"])
    def test_numbers_that_are_not_positive(self, tmp_path, option):
        with pytest.raises(InputError, match=f"{option} must be above 0"):
            evaluate_protocol.main(["hpatches", str(tmp_path), option, "0"])

    def test_only_one_matcher_is_exported(self, tmp_path):
        arguments = ["aachen", str(tmp_path), "--pairs", "p.txt", "--output", "o"]
        with pytest.raises(InputError, match="one --matcher at a time"):
            evaluate_protocol.main([*arguments, "--matcher", "sift", "--matcher", "orb"])
