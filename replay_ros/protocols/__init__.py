"""Evaluation protocols of published papers, on the datasets' own folders."""
