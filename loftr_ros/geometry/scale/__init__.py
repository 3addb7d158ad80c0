"""Metric scale of a two-view motion."""
