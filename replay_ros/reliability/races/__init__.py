"""Races: everything that a node can be asked for, from several threads at once."""
