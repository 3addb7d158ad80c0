"""The policy of the two-view geometry: every threshold by which a pair is classified, and how much work a fit may take.

Distances are in pixels of the original images. "Empirical": set by trial; the benchmarks `consistency` and `pose` show
the accuracy and the time that the values together lead to.
"""

import numpy as np

# Defaults of TwoViewSettings.
INLIER_THRESHOLD = 1.5  # also the default of loftr_node's parameter inlier_threshold (empirical)
MIN_INLIERS = 15  # as in COLMAP (min_num_inliers)
PLANAR_RATIO = 0.8  # as in COLMAP (max_H_inlier_ratio): Schoenberger and Frahm, CVPR 2016, section 4.1

# FAILED
MIN_MATCHES = 5  # of the five-point solver
MAX_NOISE = 4.0  # inlier thresholds; bound of sigma in the refinement (empirical)
AT_MAX_NOISE = 0.99  # fraction of that bound from which on the pair has failed
CHANCE_SETS = 1e-4  # of inliers, expected among wrong matches (chance.py); as FALSE_ALARM, wrong ones reach 1e-2
MIN_IN_FRONT = 0.5  # fraction of the inliers, or of the matches on a plane, with positive depths: the majority

# ROTATION_ONLY: see rotation_test.py
FALSE_ALARM = 1e-4  # probability that independent noise of a camera without translation passes for one
MIN_GAIN = 25.745  # chi-squared quantile of 1 - FALSE_ALARM for five degrees of freedom
MIN_EFFECT = 0.25  # standard deviations of a match; systematic errors of LoFTR on turns reach 0.2 (empirical)

# PLANAR
NO_RELIEF_NOISE = 1.15  # sigma of the plane over sigma of the essential matrix, without visible relief (empirical)
NO_RELIEF_INLIERS = 0.95  # inlier ratio of the plane over that of the essential matrix, likewise (empirical)
NEGLIGIBLE_PROBABILITY = 1e-6  # an alternative motion below it does not change the covariance
CERTAIN_PROBABILITY = 0.99  # below it the reason of the pose names the chance of another motion
SAME_ROTATION = np.radians(0.05)  # motions closer than both are one; far below any standard deviation (empirical)
SAME_DIRECTION = 10 * SAME_ROTATION  # length of the difference of unit translations

# How much work a fit may take: a compromise between time and the chance to miss the best motion (empirical).
FIT_SAMPLE = 500  # matches to sample minimal sets from; the refinement uses all matches
MIN_SAMPLE_INLIERS = 0.3  # inlier ratio of that sample below which minimal sets are drawn from all matches
COMPARE_SAMPLE, COMPARE_ITERATIONS = 200, 4  # matches and iterations to compare several start motions by
ROUGH_TOLERANCE = 0.5  # standard deviations, convergence tolerance of intermediate fits
