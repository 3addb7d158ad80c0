"""Places traffic, parked vehicles and people on a map, and gives their positions over time."""
