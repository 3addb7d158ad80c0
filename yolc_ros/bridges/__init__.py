"""Nodes that convert detections to the messages of other packages, where these are installed."""
