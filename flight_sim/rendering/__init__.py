"""Renders a scene with a pinhole camera: the image, and for each pixel the planar face that it shows."""
