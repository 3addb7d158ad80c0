"""Inspect bags: what a bag holds, how well it was recorded and what this package can do with it."""
