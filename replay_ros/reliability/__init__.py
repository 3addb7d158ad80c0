"""Figures of reliability: what the nodes stand, measured by commands that anybody can run."""
