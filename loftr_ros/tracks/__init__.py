"""Tracks: keypoint ids that persist over keyframes, and their statistics."""
