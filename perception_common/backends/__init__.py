"""How networks run: devices, precision and preparation for inference."""
