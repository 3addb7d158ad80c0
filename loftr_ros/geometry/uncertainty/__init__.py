"""The noise of matches, refinement of motions by maximum likelihood, and covariances of relative poses."""
