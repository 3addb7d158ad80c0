"""Noise, refinement and covariance of two-view motions."""
