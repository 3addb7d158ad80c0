"""What a task does: replay a bag, or evaluate one or a dataset."""
