"""Whether scores are probabilities."""
