"""The vector map of a scene: streets, lots, buildings, trees, and the places of vehicles and people."""
