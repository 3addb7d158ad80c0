"""Average precision of detections by named protocols."""
