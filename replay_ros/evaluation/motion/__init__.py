"""Accuracy of relative poses, covariances and trajectories."""
