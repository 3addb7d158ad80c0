"""Metric scale of a relative pose: from the altitude above ground, a depth image or odometry."""
