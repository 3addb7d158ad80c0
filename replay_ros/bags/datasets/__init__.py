"""Read sequences of public datasets as they are published: images with their stamps, cameras and ground truth."""
