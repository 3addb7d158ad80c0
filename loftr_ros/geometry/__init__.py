"""Two-view geometry: from matched points and cameras to a relative pose with its covariance and scale."""
