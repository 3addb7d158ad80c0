"""Metrics of detections, matches and poses against ground truth."""
