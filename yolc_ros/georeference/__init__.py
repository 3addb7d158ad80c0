"""Where detected objects stand on the ground: projection with covariance, filter along a track, geodesy."""
