"""Nodes that hand relative poses to SLAM systems; each starts where the messages of its system are installed."""
