"""Files of other trainings: torch checkpoints read without executing code, and the weights that they hold."""
