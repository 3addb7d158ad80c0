"""Paints the map into the ground raster: materials, markings, wear and the shadows of what never moves."""
