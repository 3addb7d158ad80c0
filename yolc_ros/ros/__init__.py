"""The ROS side of detection: yolc_node and its messages."""
