"""Labelled aerial images: COCO, VisDrone, UAVDT and simulated flights."""
