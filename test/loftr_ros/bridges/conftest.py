"""Messages of packages that are not installed, made by rosbags from their definitions."""

from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

TRUE_DEFINITIONS = {
    # lajoiepy/cslam_interfaces at 0e6bb91
    "cslam_common_interfaces/msg/IntraRobotLoopClosure": (
        "uint32 keyframe0_id\nuint32 keyframe1_id\n\nbool success\n\ngeometry_msgs/Transform transform"
    ),
    "cslam_common_interfaces/msg/LocalKeyframeMatch": "uint32 keyframe0_id\nuint32 keyframe1_id",
    # introlab/rtabmap_ros at aec4f91
    "rtabmap_msgs/msg/Link": (
        "int32 from_id\nint32 to_id\nint32 type\ngeometry_msgs/Transform transform\nfloat64[36] information"
    ),
}


@pytest.fixture(scope="session")
def stand_in():
    """.message(type): a message with default fields. .roundtrip(message): the message after serialisation."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in TRUE_DEFINITIONS.items():
        store.register(get_types_from_msg(definition, name))

    def default(description):
        kind, detail = description
        if kind == Nodetype.NAME:
            return message(detail)
        if kind == Nodetype.BASE:
            return {"string": "", "bool": False}.get(detail[0], 0)
        if kind == Nodetype.ARRAY:
            return np.zeros(detail[1], detail[0][1][0])
        return []

    def message(name):
        return store.types[name](**{field: default(each) for field, each in store.fielddefs[name][1]})

    def roundtrip(given):
        return store.deserialize_cdr(store.serialize_cdr(given, given.__msgtype__), given.__msgtype__)

    return SimpleNamespace(message=message, roundtrip=roundtrip)
