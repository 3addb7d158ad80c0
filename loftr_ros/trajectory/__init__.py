"""The trajectory: poses of keyframes chained from relative poses, and its TUM file."""
