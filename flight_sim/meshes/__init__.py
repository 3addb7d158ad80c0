"""Meshes of the object classes and of trees, in metres: x forward, y left, z up, origin on the ground."""
