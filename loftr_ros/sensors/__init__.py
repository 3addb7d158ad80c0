"""What stands beside the camera: altitude, depth, odometry, orientation and detections, and what they tell of a pair.

No ROS: messages of rclpy and of rosbags are read by their attributes. How to use it:

    sensors = Sensors(SensorSettings())                   # suite.py; thread-safe
    sensors.add_range(message)                            # or add_float_altitude(message, arrival_ns), add_fix,
                                                          # add_depth, add_odometry, add_imu, add_detections
    readings = sensors.at(stamp_ns)                       # of a keyframe when it is made; kept beside it
    readings = sensors.at(stamp_ns, readings)             # again when it is matched: what came later, if better

    moving = dynamic_matches(points0, points1, camera0, camera1, older, newer, DynamicSettings())  # dynamic.py
    prior = motion_prior(older, newer, mount, settings, steady_motion(T_last, seconds, ahead))     # gravity.py
    pose = estimate_beside_traffic(points0, points1, camera0, camera1, moving, two_view,
                                   confidence=..., spread=..., prior=prior)                        # dynamic.py
    scale = pair_scale(points0, points1, camera0, camera1, pose, older, newer,
                       mount, settings, moving.flags)                                              # metric.py
    translation, covariance = scaled(pose.translation, pose.covariance, scale)                     # geometry/scale.py

`scale.source` is the scale_status of RelativePose.msg, `scale.reason` why it is UNKNOWN; `moving.flags` is `dynamic` of
Correspondences.msg, `moving.reason` why an image could not be looked at; `sensors.ignored()` counts messages of no use.
`Mount` says how the camera sits on the vehicle (settings.py); from TF or parameters, None where it is not known.
"""
