"""What bridges have in common: nodes between our messages and those of other packages."""
