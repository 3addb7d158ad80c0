"""How good detections, matches and poses are: metrics, and the commands that measure them."""
