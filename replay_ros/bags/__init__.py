"""Bags in and out: reading, writing, what is in them, and making them from images, sequences and simulated flights."""
