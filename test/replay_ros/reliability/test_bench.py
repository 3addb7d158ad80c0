"""The bench that starts nodes as processes."""

import pytest

from perception_common.errors import InputError
from replay_ros.reliability.bench import START_SECONDS, running_bench

pytestmark = pytest.mark.system


def test_a_node_that_refuses_its_parameters_is_named_at_once(tmp_path):
    with running_bench(tmp_path) as bench:
        bench.start_node("loftr_node", model="sift", min_matches=0, lost_matches=5)
        with pytest.raises(InputError, match=r"loftr_node ended: .*lost_matches 5 is more than min_matches 0"):
            bench.require(lambda: any(bench.answers.values()), START_SECONDS, "a first answer")
