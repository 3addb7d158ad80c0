"""The textured walls and roofs of buildings."""
