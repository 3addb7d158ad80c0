"""What the launch files share: checks of their arguments, parameters for the nodes, and the exit status."""
