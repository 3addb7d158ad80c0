"""Augmentation: views, photometric distortion, crops and mosaics."""
