"""Augmentation of training images: geometry, photometry, crops of clusters and mosaics."""
