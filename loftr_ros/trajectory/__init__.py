"""The trajectory: poses of keyframes chained from relative poses, their odometry, and the TUM file."""
