"""Figures of places on the ground, against errors that are put in."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

from perception_common.errors import InputError
from replay_ros.evaluation.places import describe_places, score_places
from yolc_ros.georeference.geodesy import LocalFrame

pytest.importorskip("pymap3d")
FRAME = LocalFrame(47.0, 8.0, 450.0)
PLACES = np.array([[10.0, 20.0, 0.0], [-30.0, 5.0, 0.0], [60.0, -8.0, 0.0]])


def header():
    return Message(stamp=Message(sec=1, nanosec=0), frame_id="map")


def box(k):
    return Message(center_x=50.0 + 100 * k, center_y=40.0, size_x=20.0, size_y=10.0)


def truth(origin=(47.0, 8.0, 450.0)):
    objects = [Message(detection=box(k), position=Message(x=x, y=y, z=z)) for k, (x, y, z) in enumerate(PLACES)]
    return Message(
        header=header(),
        objects=objects,
        origin_latitude=origin[0],
        origin_longitude=origin[1],
        origin_height=origin[2],
    )


def published(shift, order=(0, 1, 2)):
    geodetic = FRAME.to_geodetic(PLACES + shift)
    objects = [
        Message(
            detection=box(k),
            latitude=geodetic[k, 0],
            longitude=geodetic[k, 1],
            height=geodetic[k, 2],
            covariance=(4.0 * np.eye(3)).ravel(),
            reason="",
        )
        for k in order
    ]
    nowhere = Message(
        detection=box(8), latitude=np.nan, longitude=np.nan, height=np.nan, covariance=np.zeros(9), reason="sky"
    )
    stray = Message(detection=box(9), latitude=47.0, longitude=8.0, height=0.0, covariance=np.eye(3).ravel(), reason="")
    return Message(header=header(), objects=[*objects, nowhere, stray])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_errors_are_those_that_were_put_in(order):
    found = score_places([published(np.array([2.0, 0.0, -1.0]), order)], [truth()])
    assert (found.objects, found.unmatched, found.without_place) == (3, 1, {"sky": 1})
    assert found.rms_m == pytest.approx(5**0.5, abs=1e-3)
    assert found.horizontal_rms_m == pytest.approx(2.0, abs=1e-3)
    assert found.nees_per_dof == pytest.approx(5 / 4 / 3, abs=1e-3)
    assert "3 places off by 2.24 m" in describe_places(found)


def test_without_a_true_object_there_are_no_figures():
    found = score_places([published(np.zeros(3))], [])
    assert (found.objects, found.rms_m) == (0, None)
    assert "no place" in describe_places(found)


def test_a_truth_without_origin_is_refused():
    with pytest.raises(InputError, match="no origin"):
        score_places([published(np.zeros(3))], [truth((np.nan, 0.0, 0.0))])
