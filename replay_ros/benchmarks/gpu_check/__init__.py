"""What a GPU is checked for in one command: equal outputs, both nodes, durations."""
