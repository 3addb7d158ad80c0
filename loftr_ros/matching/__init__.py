"""Keyframes that are kept, and how two of them are matched."""
