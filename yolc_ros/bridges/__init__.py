"""Nodes that hand detections to other packages; each starts where their messages are installed."""
