"""Picture files and compressed images: one decoder, with one policy for sizes, damage, orientation and bit depth."""
