"""Simulated drone flights with exact truth: numpy and OpenCV only."""
