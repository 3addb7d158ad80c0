"""Motion of two views: essential matrix, homography, and the choice between them."""
