"""Coarse matching (section 3.3 of the paper): confidences of all pairs of cells, and the selection of matches."""
