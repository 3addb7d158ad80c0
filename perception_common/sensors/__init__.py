"""Sensors beside the camera that both nodes read: altitude and orientation, by stamp."""
