"""Many bags at once: each is a task of a local worker or of Ray; results, resume, overview and comparison."""
