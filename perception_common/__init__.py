"""Shared by both methods: images, cameras, devices, weights files, geometry, training and the node base."""
