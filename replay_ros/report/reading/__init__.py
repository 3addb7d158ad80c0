"""Reads answers bags and result files for the report."""
