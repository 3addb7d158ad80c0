"""Whether scores are probabilities, and how they become so."""
