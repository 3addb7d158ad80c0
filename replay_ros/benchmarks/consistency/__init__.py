"""Pairs of simulated flights with their truth, and how honest the covariances of their poses are."""
