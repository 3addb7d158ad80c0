"""Speed and memory benchmarks: one file per subject in `subjects/`, and what they share."""
