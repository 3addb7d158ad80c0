"""Exported networks: ONNX Runtime computes what torch does, from operators that TensorRT 10 reads."""

import json

import numpy as np
import pytest
import torch

from loftr_ros.image_matcher import MatcherSettings
from loftr_ros.matcher import Matcher
from loftr_ros.network.parts import loftr_parts
from perception_common.backends import onnx_export
from perception_common.backends.devices import choose_device
from perception_common.backends.onnx_export import MANIFEST, check_operators, part_files
from perception_common.backends.onnx_runtime import OnnxRuntime
from perception_common.errors import InputError
from perception_common.resources import find_weights
from perception_common.weights import file_sha256
from replay_ros.commands import export
from yolc_ros.detector import Detector, DetectorSettings
from yolc_ros.network.parts import yolc_parts

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

# Of operators.md of onnx-tensorrt 10, as far as these networks may need them. No If, Loop, Scan and NonZero.
# fmt: off
TENSORRT = frozenset((
    "Abs", "Add", "And", "ArgMax", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose",
    "Cos", "Div", "Einsum", "Elu", "Equal", "Exp", "Expand", "Flatten", "Floor", "Gather", "Gemm", "Greater",
    "GreaterOrEqual", "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual",
    "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "Not", "Or", "Pad", "Pow", "Range",
    "Reciprocal", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Sin",
    "Size", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "TopK", "Transpose", "Unsqueeze", "Where",
))
# fmt: on

SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """The matcher and the detector on ONNX Runtime, and the folder of their engines."""
    home = tmp_path_factory.mktemp("ros")
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_HOME", str(home))
        policy = choose_device(backend="onnxruntime", providers="cpu")
        matcher = Matcher.load("loftr_lite", "default", policy)
        detector = Detector.load("yolc_lite", "default", policy)
        again = Matcher.load("loftr_lite", "default", policy)
    assert again.network.runtime is not matcher.network.runtime
    folders = {path.name.split("-")[0]: path for path in (home / "yolc_ros" / "engines").iterdir()}
    return matcher, detector, folders, lines


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(0).integers(0, 256, (15, 21)).astype(np.float32)
    texture = np.kron(noise, np.ones((8, 8), np.float32))[:117, :163]  # sides that no stride divides
    return texture.astype(np.uint8), np.roll(texture, 3, axis=1).astype(np.uint8)


@SLOW
def test_only_operators_of_tensorrt_are_used(engines):
    for folder in engines[2].values():
        for file in folder.glob("*.onnx"):
            model = onnx.load(file)
            onnx.checker.check_model(model)
            assert {node.op_type for node in model.graph.node} <= TENSORRT, file
            assert {each.domain for each in model.opset_import} == {""}
            assert 17 <= model.opset_import[0].version <= 20
            assert not model.functions


@SLOW
def test_the_manifest_describes_the_files(engines):
    for name, parts in (("loftr_lite", {"encode", "transform", "fine"}), ("yolc_lite", {"maps"})):
        folder = engines[2][name]
        manifest = json.loads((folder / MANIFEST).read_text())
        assert manifest["weights_sha256"] == file_sha256(find_weights(name))
        assert manifest["precision"] == "fp32"
        assert manifest["opset"] == onnx.load(folder / f"{min(parts)}.onnx").opset_import[0].version
        assert manifest["versions"]["torch"] == torch.__version__
        assert manifest["parts"].keys() == parts
        assert all(manifest["parts"][part]["sha256"] == file_sha256(folder / f"{part}.onnx") for part in parts)
        assert all(0 <= each["relative"] < 1e-4 for each in manifest["largest_differences"].values())


@SLOW
def test_matches_are_those_of_torch(engines, images):
    settings = MatcherSettings(max_side=0)
    torch_matcher = Matcher.load("loftr_lite", "default", choose_device("cpu"), settings)
    onnx_matcher = engines[0].with_settings(settings)
    assert onnx_matcher.device_name == "onnxruntime (cpu)"
    for pair in (images, (images[0], images[1][:90])):
        expected, found = (each.match(*map(each.encode, pair)) for each in (torch_matcher, onnx_matcher))
        assert len(expected) > 20
        a, b = expected.cells0.argsort(), found.cells0.argsort()  # equal confidences may be in another order
        np.testing.assert_array_equal(found.cells0[b], expected.cells0[a])
        off = np.abs(found.points1[b] - expected.points1[a]).max(axis=1)
        assert np.median(off) < 1e-3
        assert off.max() < 0.2  # of two nearly equal peaks of a heatmap, either may be the higher one
        np.testing.assert_allclose(found.confidence[b], expected.confidence[a], atol=1e-3)
        np.testing.assert_allclose(found.spread[b], expected.spread[a], atol=1e-2)


@SLOW
def test_images_that_are_padded_are_refused(engines, images):
    padded = engines[0].with_settings(MatcherSettings(max_side=0, padding="release"))
    with pytest.raises(InputError, match="padded images need backend torch"):
        padded.encode(images[0])


@SLOW
def test_boxes_are_those_of_torch(engines):
    settings = DetectorSettings(score_threshold=0.01, flip=True)
    torch_detector = Detector.load("yolc_lite", "default", choose_device("cpu"), settings)
    onnx_detector = engines[1]
    image = np.random.default_rng(0).integers(0, 256, (100, 130, 3), np.uint8)
    expected = torch_detector.detect(image)
    torch_detector.network.runtime = onnx_detector.network.runtime
    found = torch_detector.detect(image)
    assert len(expected.boxes)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


@SLOW
def test_openvino_computes_the_same(engines):
    pytest.importorskip("onnxruntime_ep_openvino")
    if choose_device(backend="onnxruntime", providers="openvino").providers != ("openvino", "cpu"):
        pytest.skip("OpenVINO's plugin offers no device on this machine, as on processors that are not Intel's")
    matcher, detector, folders, _ = engines
    for name, parts in (("loftr_lite", loftr_parts(matcher.network)), ("yolc_lite", yolc_parts(detector.network))):
        runtime = OnnxRuntime(part_files(parts, folders[name]), ("openvino", "cpu"))
        for part in parts:
            inputs = part.example((96, 64), 3)
            with torch.no_grad():
                for expected, found in zip(part.module(*inputs), runtime.run(part.name, *inputs), strict=True):
                    torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.abs().max()), rtol=0)


def test_the_command_prints_files_and_differences(tmp_path, monkeypatch, capsys):
    def write(part, path):
        path.write_bytes(b"graph")

    class Exact:
        def __init__(self, files):
            assert all(path.read_bytes() == b"graph" for path in files.values())

        def run(self, part, *inputs):
            detector = Detector.load("yolc_lite", "default", choose_device("cpu"))
            return detector.network.dense_maps(*inputs)

    monkeypatch.setattr(onnx_export, "_export", write)
    monkeypatch.setattr(onnx_export, "OnnxRuntime", Exact)
    assert export.main(["yolc_lite", "--output", str(tmp_path / "new")]) == 0
    shown = capsys.readouterr().out
    assert "part 1 of 1 (maps)" in shown
    assert "| maps | " in shown
    assert f"{tmp_path}/new/maps.onnx" in shown
    assert (tmp_path / "new" / MANIFEST).is_file()

    monkeypatch.setattr(Exact, "run", lambda self, part, image: tuple(1.01 * x for x in Exact.run_torch(self, image)))
    Exact.run_torch = lambda self, image: Detector.load(
        "yolc_lite", "default", choose_device("cpu")
    ).network.dense_maps(image)
    with pytest.raises(InputError, match=r"maps: heatmap differs from torch by 1.0e-02"):
        export.main(["yolc_lite", "--output", str(tmp_path / "other")])
    assert not (tmp_path / "other" / MANIFEST).exists()


def test_an_unknown_network_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no network 'sift'; use one of .*loftr_lite.*yolc_lite"):
        export.main(["sift", "--output", str(tmp_path)])


@pytest.mark.parametrize(
    ("node", "named"),
    [
        (("Custom", ["x"], ["y"], {"domain": "ours"}), "ours::Custom"),
        (("If", ["x"], ["y"], {}), "If"),
    ],
)
def test_operators_outside_of_the_standard_are_refused(tmp_path, node, named):
    kind, inputs, outputs, options = node
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["a"], ["x"]), onnx.helper.make_node(kind, inputs, outputs, **options)],
        "g",
        [],
        [],
    )
    path = tmp_path / "graph.onnx"
    onnx.save(onnx.helper.make_model(graph), path)
    with pytest.raises(InputError, match=f"{named} is not in the standard set"):
        check_operators(path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "maps.onnx").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"maps.onnx: ONNX Runtime cannot load it with cpu"):
        OnnxRuntime({"maps": tmp_path / "maps.onnx"})
