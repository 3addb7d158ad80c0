"""The storage formats of rosbag2: files that may be cut, damaged or hostile, read as far as they go."""
