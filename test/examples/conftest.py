"""The files in examples/ as modules."""

import importlib.util
import sys

import pytest


@pytest.fixture(scope="module")
def example(repository):
    """example(name): the module of a file in examples/."""
    loaded = []

    def load(name):
        spec = importlib.util.spec_from_file_location(name, repository / "examples" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        loaded.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in loaded:
        sys.modules.pop(name, None)
