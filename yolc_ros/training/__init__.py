"""Training of YOLC: targets, losses, augmentation and the loop."""
