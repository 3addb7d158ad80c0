"""Sensors beside the camera (altitude, depth, odometry, orientation, detections) and their use in relative poses.

No ROS: messages of rclpy and of rosbags are read by their attributes. Usage:

    sensors = Sensors(SensorSettings())                   # suite.py; thread-safe
    sensors.add_range(message)                            # or add_float_altitude(message, arrival_ns), add_fix,
                                                          # add_depth, add_odometry, add_imu, add_detections
    readings = sensors.at(stamp_ns, frame_id)             # when a keyframe is made; kept with it
    readings = sensors.at(stamp_ns, frame_id, readings)   # when it is matched: with readings that arrived later

    moving = dynamic_matches(points0, points1, camera0, camera1, older, newer, DynamicSettings())  # dynamic.py
    prior = motion_prior(older, newer, mount, settings, steady_motion(T_last, seconds, ahead))     # gravity.py
    pose = estimate_without_traffic(points0, points1, camera0, camera1, moving, two_view,
                                    confidence=..., spread=..., prior=prior)                       # dynamic.py
    scale = pair_scale(points0, points1, camera0, camera1, pose, older, newer,
                       mount, settings, moving.flags)                                              # metric.py
    translation, covariance = scaled(pose.translation, pose.covariance, scale)            # geometry/scale/result.py

`scale.source` is scale_status of RelativePose.msg, `scale.reason` explains UNKNOWN. `moving.flags` is `dynamic` of
Correspondences.msg, `moving.reason` explains missing detections. `sensors.ignored()` counts unusable messages. `Mount`
(settings.py) is the pose of the camera in the vehicle, from TF or parameters.
"""
