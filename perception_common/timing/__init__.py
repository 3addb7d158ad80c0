"""Durations of stages, and latencies and rates over the recent past."""
