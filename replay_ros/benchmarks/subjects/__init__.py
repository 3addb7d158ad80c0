"""The subjects of `benchmark`, one file each, with `measure(plan) -> SubjectReport`."""
