"""Variance inflation by correlated errors of matches.

A matcher makes similar errors on neighbouring matches, so N matches carry less information than N independent ones.
How much less is visible in the scores, the derivatives of the log-likelihood by a step: their sums over parts of the
view vary more than for independent matches (cluster-robust covariance: Liang and Zeger, "Longitudinal data analysis
using generalized linear models", Biometrika 1986). The excess is summarised by one number, the variance inflation
factor (design effect: Kish, "Survey Sampling", 1965), by which the effective number of matches is smaller.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loftr_ros.geometry.rays import RayPairs
from loftr_ros.geometry.sampling import grid_cells
from loftr_ros.geometry.uncertainty.refinement import Refined

_GRID_SIDE = 5  # cells wider than errors are correlated, and enough of them for an average (empirical)


def variance_inflation(pairs: RayPairs, refined: Refined[Any]) -> float:
    """Factor, at least 1, of the estimate's variance over its variance for independent matches.

    With the information I = J'WJ, its part I_c of cell c, and the score u_c = J_c'W_c r_c summed over the cell, let
    M_c = I^-1 I_c. Independent errors of variance sigma^2 have E u_c u_c' = sigma^2 (I_c - I_c I^-1 I_c), so that

        v = sum_c u_c' I^-1 u_c / (sigma^2 n),    n = p - sum_c tr M_c^2

    has the expectation 1 (the correction of Bell and McCaffrey, Survey Methodology 2002, for the trace), and a variance
    of about s^2 = 2 sum_c tr M_c^2 / n^2. The excess e = v - 1 is shrunk by e^2 / (e^2 + s^2), because few matches in
    few cells exceed 1 by chance.
    """
    values, vectors = np.linalg.eigh(refined.information)
    seen = values > 1e-12 * max(values[-1], 1e-300)
    whitening = vectors[:, seen] / np.sqrt(values[seen])  # I^-1 = whitening whitening'
    J = refined.motion.jacobian(pairs)
    cell = grid_cells(pairs, _GRID_SIDE)
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    spread, squares = 0.0, 0.0
    for part in np.split(order, starts[1:]):
        rows = (J[part] @ whitening).reshape(-1, whitening.shape[1])
        weights = np.repeat(refined.weights[part], J.shape[1])
        weighted = rows.T * weights
        score = weighted @ refined.residuals[part].ravel()
        spread += float(score @ score)
        squares += float(np.square(weighted @ rows).sum())
    left = whitening.shape[1] - squares
    if left <= 1e-6:  # all matches in one cell
        return 1.0
    excess = max(spread / (refined.noise.sigma**2 * left) - 1.0, 0.0)
    chance = 2.0 * squares / left**2
    return 1.0 + excess**3 / (excess**2 + chance)
