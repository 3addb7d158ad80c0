"""The lifecycle node that both perception nodes are, its parameters, worker and diagnostics."""
