"""What both nodes stand on: images, cameras, devices, weights files, geometry and the node base."""
