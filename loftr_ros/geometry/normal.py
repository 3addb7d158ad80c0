"""Constants of the normal distribution that turn its standard deviations, quantiles and medians into each other.

"Line": a residual with one component, such as the distance to an epipolar line. "Point": the length of a residual with
two components, such as the distance to a mapped point.
"""

INLIER_SIGMAS = 3.0  # a line residual lies within that many standard deviations with probability 99.73 %
POINT_OVER_LINE_REACH = 1.147  # point over line distance of that probability: sqrt(11.83) / 3 (chi-squared)
POINT_OVER_LINE_MEDIAN = 1.746  # point over line median distance: 1.1774 / 0.6745
MAD_TO_SIGMA = 1.4826  # standard deviation over median absolute deviation: 1 / 0.6745
MEDIAN_OVER_MEAN_ERROR = 1.2533  # standard error of the median over that of the mean: sqrt(pi / 2)
