"""Pose and homography errors on image pairs."""
