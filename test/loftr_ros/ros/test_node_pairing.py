"""loftr_node whose camera_info has other stamps than the images: a zoom, published a little late."""

from sensor_msgs.msg import CameraInfo

from loftr_ros.ros.messages import header_of

LATE_NS = 5_000_000


def send_info(bench, stamp_ns, focal):
    height, width = bench.flight.images[0].shape
    info = CameraInfo(header=header_of(stamp_ns, "camera"), width=width, height=height, distortion_model="plumb_bob")
    info.d, info.k = [0.0] * 5, [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    bench.infos.publish(info)
    bench.until(lambda: len(bench.node._cameras._exact) > 0 and stamp_ns in bench.node._cameras._exact)


def test_an_image_gets_the_camera_info_within_the_slop_and_not_the_newest(bench):
    bench.until(bench.infos.get_subscription_count)
    for k, focal in ((0, 300.0), (1, 400.0), (2, 500.0)):
        send_info(bench, bench.flight.stamps_ns[k] + LATE_NS, focal)
    for k in (0, 1):  # the newest camera_info belongs to a later image
        bench.fly(k)
    bench.until(lambda: len(bench.keyframes) == 2)
    assert [keyframe.k_original[0] for keyframe in bench.keyframes] == [300.0, 400.0]


def test_an_equal_stamp_goes_before_a_near_one(bench):
    bench.until(bench.infos.get_subscription_count)
    first = bench.flight.stamps_ns[0]
    for stamp, focal in ((first - LATE_NS, 300.0), (first, 400.0), (first + LATE_NS, 500.0)):
        send_info(bench, stamp, focal)
    bench.fly(0)
    bench.until(lambda: bench.keyframes)
    assert bench.keyframes[0].k_original[0] == 400.0
