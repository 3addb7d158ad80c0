"""Sequences of public datasets, read as they are published: images with their stamps, camera and ground truth."""
