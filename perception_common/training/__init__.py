"""Shared by both trainers: the loop, checkpoints, schedule, progress and several processes. No ROS."""
