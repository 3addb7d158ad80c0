"""Files that come with the package: configuration and weights, in a source tree or installed.

An installed package lies in <prefix>/lib/python3.x/site-packages and its data in <prefix>/share/yolc_ros; in a
source tree the data folders lie beside the package. They are found from the package's own path, without environment
variables.
"""

from __future__ import annotations

from pathlib import Path

from perception_common.errors import InputError

_PACKAGE = Path(__file__).absolute().parent  # not resolved: a symlink install has its data beside the links


def find_share(package: Path = _PACKAGE) -> Path:
    """Return the folder that holds `config/` (and `weights/`, if weights are shipped) of the package at `package`.

    Raises InputError when there is none, for example when only the Python files were copied.
    """
    candidates = [package.parent, *(folder / "share" / "yolc_ros" for folder in package.parents)]
    for folder in candidates:
        if (folder / "config" / "models").is_dir():
            return folder
    raise InputError(
        f"no configuration files are installed for {package}; install the package with colcon or run `make`"
    )


def find_config(name: str) -> Path:
    """Return the path of a configuration file such as "perception.yaml" or "models/loftr_lite.yaml".

    Raises InputError that lists the existing files of the same kind.
    """
    config = find_share() / "config"
    path = config / name
    if not path.is_file():
        existing = sorted(str(file.relative_to(config)) for file in config.rglob(f"*{path.suffix}") if file.is_file())
        raise InputError(f"no configuration {name!r} in {config}; there are {', '.join(existing) or 'none'}")
    return path


def find_weights(name: str) -> Path | None:
    """Return the path of the weights shipped for the model `name`, such as "loftr_lite"; None when none are shipped."""
    path = find_share() / "weights" / f"{name}.safetensors"
    return path if path.is_file() else None


def choose_weights(model: str, weights: Path | str | None) -> Path | None:
    """Return the weights file to load into `model`, or None for random weights.

    weights: a file; "default": those shipped for this model, if any; "none" or None: none.
    """
    if weights is None or weights == "none":
        return None
    return find_weights(model) if weights == "default" else Path(weights).expanduser()


def list_models(prefix: str) -> list[str]:
    """Return the sorted NAMEs of the files config/models/PREFIXNAME.yaml, which are the network variants."""
    return sorted(
        file.stem.removeprefix(prefix) for file in (find_share() / "config" / "models").glob(f"{prefix}*.yaml")
    )
