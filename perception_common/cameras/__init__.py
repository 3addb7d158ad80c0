"""Calibrated cameras and the CameraInfo messages that describe them."""
