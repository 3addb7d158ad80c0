"""The YOLC networks: torch only, no OpenCV and no ROS."""
