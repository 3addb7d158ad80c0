"""Procedural and photographic textures, as periodic tiles with prefiltered levels."""
