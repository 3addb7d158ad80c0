"""Ids of objects that persist over the images of a moving camera."""
