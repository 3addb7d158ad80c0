"""Text from outside: tables, JSON, YAML, names of ROS."""
