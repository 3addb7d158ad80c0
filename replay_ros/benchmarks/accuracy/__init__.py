"""Subjects of `benchmark` that measure errors instead of durations, one file each, as those in `subjects/`."""
