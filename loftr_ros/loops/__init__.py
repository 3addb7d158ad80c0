"""Loop closures: old keyframes that show the place of a new one, by the trajectory and by the look of the image."""
