"""What the report draws: frames, keyframe pairs, trajectory, errors, precision-recall curves and timing."""
