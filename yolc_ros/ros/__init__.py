"""ROS interface of detection: yolc_node and its messages."""
