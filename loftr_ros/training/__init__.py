"""Training of LoFTR (section 3.5 and the supplement of the paper)."""
