"""What the command `benchmark` measures: one file for each subject."""
