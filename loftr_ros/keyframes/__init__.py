"""Keyframes: when an image becomes one, how good it is, and which are kept."""
