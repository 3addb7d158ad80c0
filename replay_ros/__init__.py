"""Bags in and out, replay through the nodes, reports and benchmarks."""
