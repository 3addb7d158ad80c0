"""Images turned by right angles before they are encoded, so that both images of a pair are upright to each other."""
