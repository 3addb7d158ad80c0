"""Whether one way to detect is better than another: differences with their uncertainty."""
