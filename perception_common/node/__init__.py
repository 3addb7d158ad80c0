"""The base of both perception nodes: lifecycle, parameters, worker thread and diagnostics."""
