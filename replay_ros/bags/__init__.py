"""Read, write, inspect and make rosbag2 recordings, without ROS."""
