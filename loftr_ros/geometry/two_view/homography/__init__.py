"""Homographies of planes: residuals, motions, fit and decomposition; docs/homography.md derives what is computed."""
