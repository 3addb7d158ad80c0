"""The ROS side of matching: loftr_node, its messages and its TF lookups."""
