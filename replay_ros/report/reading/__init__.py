"""Reads output bags of replay and result files for the report."""
