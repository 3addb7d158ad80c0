"""Figures of reliability: long runs, overload, faults, races and hostile input, as commands that anybody can run."""
