"""What a replay refuses before it loads networks."""

import pytest

from perception_common.errors import InputError
from replay_ros.offline.networks import load_networks


def test_a_height_grid_that_does_not_exist_is_refused_before_the_first_image(tmp_path):
    pytest.importorskip("pymap3d")
    file = tmp_path / "parameters.yaml"
    file.write_text(
        "yolc_node: {ros__parameters: {georeference: true, use_imu: true, height_grid: /no/such/heights.tif}}"
    )
    with pytest.raises(InputError, match="no such height grid"):
        load_networks(file, detection=True, matching=False)
