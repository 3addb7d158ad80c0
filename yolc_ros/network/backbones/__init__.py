"""Backbones: HRNet, and ResNet and Hourglass of the ablation."""
