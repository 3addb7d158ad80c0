"""Nodes that pass relative poses to SLAM systems, where the messages of the system are installed."""
