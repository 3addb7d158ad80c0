"""LoFTR: detector-free matching of image pairs by transformers."""
