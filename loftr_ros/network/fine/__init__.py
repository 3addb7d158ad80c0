"""The fine stage: matches from coarse cells to fractions of a pixel."""
