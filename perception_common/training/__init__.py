"""What both trainers stand on: the loop, checkpoints, schedule, progress, several processes. torch; no ROS."""
