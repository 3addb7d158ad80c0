"""Accuracy of relative poses, their covariances and trajectories against ground truth."""
