"""Make bags: of images, videos and sequences of public datasets, and of simulated flights."""
