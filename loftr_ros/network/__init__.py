"""The LoFTR network: torch only, no OpenCV and no ROS."""
