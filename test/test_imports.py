"""Which module may import which. The rules also hold for what a module imports through other modules of ours.

"At import time" leaves out imports inside functions and those for type checking.
"""

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = ("perception_common", "yolc_ros", "loftr_ros", "flight_sim", "replay_ros")
MAY_IMPORT = {
    "perception_common": {"perception_common"},
    "yolc_ros": {"perception_common", "yolc_ros"},
    "loftr_ros": {"perception_common", "loftr_ros"},
    "flight_sim": {"flight_sim"},
    "replay_ros": set(PACKAGES),
}
TRAINING_FOLDERS = {"training", "datasets"}  # may also import flight_sim, whose flights are training data

ROS = {
    "builtin_interfaces",
    "cv_bridge",
    "diagnostic_msgs",
    "geometry_msgs",
    "lifecycle_msgs",
    "message_filters",
    "nav_msgs",
    "rcl_interfaces",
    "rclpy",
    "rosgraph_msgs",
    "sensor_msgs",
    "std_msgs",
    "tf2_msgs",
    "vision_msgs",
    "visualization_msgs",
    "yolc_ros.msg",
    "yolc_ros.srv",
}
MAY_USE_ROS = {
    "perception_common.node.base",
    "perception_common.node.bridges.peers",
    "perception_common.node.bridges.report",
    "perception_common.node.bridges.running",
    "perception_common.node.diagnostics",
    "perception_common.node.ros_parameters",
    "perception_common.node.guards",
    "perception_common.node.runner",
    "perception_common.node.transforms",
    "yolc_ros.bridges.vision",
    "yolc_ros.ros",
    "loftr_ros.bridges.rtabmap",
    "loftr_ros.bridges.swarm_slam",
    "loftr_ros.ros",
    "replay_ros.live",
    "replay_ros.reliability",
    "replay_ros.outputs",  # the message classes of what the nodes publish
    "replay_ros.offline.bag_pass",  # serialises the messages that it writes
    "replay_ros.offline.replay",
    "replay_ros.replay",  # runs the live or the offline replay
    "replay_ros.demo",
    "replay_ros.fleet.work.replay",
    "replay_ros.benchmarks.listener",  # times the nodes' messages over DDS
    "replay_ros.benchmarks.publisher",
    "replay_ros.benchmarks.subjects.fleet",
    "replay_ros.benchmarks.subjects.stages",
    "replay_ros.commands.demo",
    "replay_ros.commands.fleet",
    "replay_ros.commands.replay",
}
OPTIONAL_ROS = {"perception_common.images.conversion": {"cv_bridge"}}  # imported in a function, for rare encodings

HEAVY_FRAMEWORKS = {"torchvision", "mmcv", "mmdet", "mmengine", "kornia"}
LARGEST_FOLDER = 12  # Python files beside __init__.py


@dataclass(frozen=True)
class Imports:
    """The absolute names of everything that a module imports; `names` holds all of them."""

    at_import_time: frozenset[str]
    in_functions: frozenset[str]
    for_type_checking: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        return self.at_import_time | self.in_functions | self.for_type_checking


class ImportCollector(ast.NodeVisitor):
    """Collects the imported names of one file by when they are imported."""

    def __init__(self, path: Path):
        self.path = path
        self.found: dict[str, set[str]] = {
            "at_import_time": set(),
            "in_functions": set(),
            "for_type_checking": set(),
        }
        self.scope = "at_import_time"

    def visit_Import(self, node: ast.Import) -> None:
        self.found[self.scope] |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, f"{self.path}: relative import"
        # `from package import name` imports package.name too if that is a module; other names are harmless here.
        self.found[self.scope] |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}

    def visit_If(self, node: ast.If) -> None:
        is_type_checking = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        self._visit_in("for_type_checking" if is_type_checking else self.scope, node.body)
        self._visit_in(self.scope, node.orelse)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_in("in_functions", node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_in("in_functions", node.body)

    def _visit_in(self, scope: str, body: list[ast.stmt]) -> None:
        before, self.scope = self.scope, scope
        for statement in body:
            self.visit(statement)
        self.scope = before


def imports_of(path: Path) -> Imports:
    collector = ImportCollector(path)
    collector.visit(ast.parse(path.read_text(encoding="utf-8")))
    return Imports(**{scope: frozenset(names) for scope, names in collector.found.items()})


def is_of(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_training(module: str) -> bool:
    return bool(TRAINING_FOLDERS & set(module.split(".")[1:]))


def with_packages(module: str) -> list[str]:
    """The module and the packages that hold it: "a", "a.b", "a.b.c"."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts) + 1)]


class Tree:
    """All modules of our packages by name ("a.b" for a/b.py and for a/b/__init__.py) and what they import."""

    def __init__(self, repository: Path):
        self.files = {
            ".".join(path.relative_to(repository).with_suffix("").parts).removesuffix(".__init__"): path
            for package in PACKAGES
            for path in sorted((repository / package).rglob("*.py"))
            if not is_of(".".join(path.relative_to(repository).parts), {"yolc_ros.msg", "yolc_ros.srv"})
        }
        self.imports = {module: imports_of(path) for module, path in self.files.items()}

    def ours(self, names: frozenset[str]) -> set[str]:
        """The modules of ours among imported names, with the packages above them, which Python imports first."""
        return {above for name in names if name in self.files for above in with_packages(name)}

    def others(self, names: frozenset[str]) -> set[str]:
        """The imported names outside our packages; message modules of ROS in yolc_ros count as outside."""
        return {name for name in names if not is_of(name, set(PACKAGES)) or is_of(name, ROS)}

    def loaded_by(self, module: str) -> dict[str, list[str]]:
        """The modules of ours that importing `module` loads, itself included, with the chain of imports to each."""
        waiting = with_packages(module)
        chains = {name: [name] for name in waiting}
        while waiting:
            current = waiting.pop(0)
            for following in sorted(self.ours(self.imports[current].at_import_time) - chains.keys()):
                chains[following] = [*chains[current], following]
                waiting.append(following)
        return chains

    def others_loaded_by(self, module: str) -> dict[str, list[str]]:
        """The names outside our packages that importing `module` loads, with the chain of imports to each."""
        found: dict[str, list[str]] = {}
        for loaded, chain in self.loaded_by(module).items():
            for name in sorted(self.others(self.imports[loaded].at_import_time)):
                found.setdefault(name, [*chain, name])
        return found


@pytest.fixture(scope="module")
def tree(repository):
    return Tree(repository)


def report(violations: list[str], checked: int, at_least: int) -> None:
    """Fail with all violations, and when fewer modules were checked than there must be."""
    assert checked >= at_least, f"only {checked} were checked: did the folders move?"
    assert not violations, "\n".join(["", *sorted(violations)])


def circles(edges: dict[str, set[str]]) -> list[str]:
    """The groups of nodes that reach each other (strongly connected components), each as one line."""
    reach: dict[str, set[str]] = {}
    for node in edges:
        reach[node], waiting = set(), [node]
        while waiting:
            new = edges.get(waiting.pop(), set()) - reach[node]
            reach[node] |= new
            waiting += new
    groups = {frozenset(n for n in reach[node] if node in reach.get(n, ())) for node in reach if node in reach[node]}
    return [" <-> ".join(sorted(group)) for group in groups]


def test_packages_import_only_those_below_them(tree):
    violations = []
    for module, imports in tree.imports.items():
        allowed = MAY_IMPORT[module.split(".")[0]] | ({"flight_sim"} if is_training(module) else set())
        wrong = {name for name in tree.ours(imports.names) if not is_of(name, allowed)}
        violations += [f"{module} imports {name}" for name in wrong]
        violations += [
            " -> ".join(chain)
            for name, chain in tree.loaded_by(module).items()
            if not is_of(name, allowed) and chain[1:]
        ]
    report(violations, len(tree.imports), at_least=260)


def test_networks_know_torch_only(tree):
    networks = [module for module in tree.files if "network" in module.split(".")]
    violations = []
    for module in networks:
        own = {module.split(".network")[0] + ".network", "perception_common.backends", "perception_common.errors"}
        for name, chain in tree.loaded_by(module).items():
            if not is_of(name, own) and not any(is_of(package, {name}) for package in own):
                violations.append(" -> ".join(chain))
        for name, chain in tree.others_loaded_by(module).items():
            if not is_of(name, {"torch", *sys.stdlib_module_names}):
                violations.append(" -> ".join(chain))
        lazy = tree.imports[module].in_functions
        violations += [f"{module} imports {name} in a function" for name in lazy if not is_of(name, {"torch", *own})]
    report(violations, len(networks), at_least=16)


def test_only_nodes_and_the_live_replay_need_ros(tree):
    without_ros = [module for module in tree.files if not is_of(module, MAY_USE_ROS)]
    violations = []
    for module in without_ros:
        chains = [chain for name, chain in tree.others_loaded_by(module).items() if is_of(name, ROS)]
        violations += [" -> ".join(chain) for chain in chains[:1]]  # the shortest
        lazy = tree.imports[module].in_functions - tree.imports[module].at_import_time
        allowed = OPTIONAL_ROS.get(module, set())
        violations += [
            f"{module} imports {name} in a function" for name in lazy if is_of(name, ROS) and not is_of(name, allowed)
        ]
    report(violations, len(without_ros), at_least=240)
    unused = {name for name in MAY_USE_ROS if not any(is_of(module, {name}) for module in tree.files)}
    assert not unused, f"exceptions that no longer exist: {unused}"


def test_only_training_and_replay_load_training_code(tree):
    others = [m for m in tree.files if not is_training(m) and not is_of(m, {"replay_ros"})]
    violations = []
    for module in others:
        reached = set(tree.loaded_by(module)) | tree.ours(tree.imports[module].names)
        violations += [f"{module} loads {name}" for name in reached if is_training(name)]
    report(violations, len(others), at_least=120)


def test_only_benchmarks_use_heavy_frameworks(tree):
    others = [module for module in tree.files if not is_of(module, {"replay_ros.benchmarks"})]
    report(
        [f"{m} imports {n}" for m in others for n in tree.imports[m].names if is_of(n, HEAVY_FRAMEWORKS)],
        len(others),
        at_least=250,
    )


def test_files_do_not_import_each_other_in_circles(tree):
    edges = {
        module: tree.ours(imports.at_import_time | imports.in_functions) - {module}
        for module, imports in tree.imports.items()
    }
    report(circles(edges), len(edges), at_least=260)


def test_folders_do_not_import_each_other_in_circles(tree):
    """Within each folder, every subfolder with all its files is one node and every file is one node."""
    folders = {module for module, path in tree.files.items() if path.name == "__init__.py"}
    violations = []
    for folder in sorted(folders):
        edges: dict[str, set[str]] = {}
        depth = folder.count(".") + 2
        for module, imports in tree.imports.items():
            if is_of(module, {folder}) and module != folder:
                node = ".".join(module.split(".")[:depth])
                names = tree.ours(imports.at_import_time | imports.in_functions)
                targets = {".".join(n.split(".")[:depth]) for n in names if is_of(n, {folder}) and n != folder}
                edges.setdefault(node, set()).update(targets - {node})
        violations += circles(edges)
    report(violations, len(folders), at_least=36)


def test_folders_hold_at_most_a_dozen_files(repository):
    roots = [repository / name for name in (*PACKAGES, "test", "examples", "scripts")]
    counts = Counter(p.parent.relative_to(repository) for r in roots for p in r.rglob("*.py") if p.stem != "__init__")
    violations = [f"{folder} holds {count} files" for folder, count in counts.items() if count > LARGEST_FOLDER]
    report(violations, len(counts), at_least=70)


def test_test_modules_have_unique_names(repository):
    """pytest imports them by name where a plugin (launch_testing) collects them, and test/ has no __init__.py."""
    names = Counter(path.name for path in (repository / "test").rglob("test_*.py"))
    report([f"{count} files are named {name}" for name, count in names.items() if count > 1], len(names), at_least=150)
    assert not list((repository / "test").rglob("__init__.py"))


def test_tests_that_start_processes_are_marked(repository):
    """`make test-fast` starts none: it leaves out the tests that are marked slow or system."""
    starters = {"subprocess", "multiprocessing"}
    paths = sorted((repository / "test").rglob("test_*.py"))
    starting = [path for path in paths if any(is_of(name, starters) for name in imports_of(path).names)]
    unmarked = [path for path in starting if not re.search(r"mark\.(slow|system)", path.read_text(encoding="utf-8"))]
    report([f"{path} is not marked slow or system" for path in unmarked], len(starting), at_least=10)


def test_imports_are_followed_through_modules(tmp_path):
    """The rules themselves, on a small tree."""
    files = {
        "__init__": "",
        "shared": "from perception_common import reader\ndef convert():\n    import cv_bridge",
        "reader": "try:\n    import rclpy.node\nexcept ImportError:\n    pass",
        "typed": "if TYPE_CHECKING:\n    from perception_common.reader import Reader\nelse:\n    import numpy",
    }
    (tmp_path / "perception_common").mkdir()
    for name, text in files.items():
        (tmp_path / "perception_common" / f"{name}.py").write_text(text)
    tree = Tree(tmp_path)
    others = tree.others_loaded_by("perception_common.shared")
    assert others == {"rclpy.node": ["perception_common.shared", "perception_common.reader", "rclpy.node"]}
    assert tree.imports["perception_common.shared"].in_functions == {"cv_bridge"}
    assert set(tree.others_loaded_by("perception_common.typed")) == {"numpy"}
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b <-> c"]
