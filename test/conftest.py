"""What several tests stand on."""

import os
from pathlib import Path

import pytest

from perception_common.transport import use_large_image_profile

# Before any ROS or torch: tests talk to this machine only, and threads that wait do not take the cores.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
use_large_image_profile()  # Fast DDS reads it once in a process, whichever test comes first

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images that lies beside the checkout in development and CI."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real images are not there ({folder})")
    return folder
