"""What runs the tasks of a fleet: workers on this machine, or Ray."""
