"""Where a detector looks, and at which scale: the scale of the first look, crowded regions, and a budget of time."""
