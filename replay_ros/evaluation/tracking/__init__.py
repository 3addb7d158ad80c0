"""Scores ids of objects over images against truth."""
