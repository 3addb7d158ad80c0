"""What a fleet found, over all bags: distributions, one report, and the comparison of two fleets."""
