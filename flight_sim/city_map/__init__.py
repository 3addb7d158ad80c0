"""The vector map of a scene, as data: its style, streets, lots, buildings, trees, and places of vehicles and people."""
