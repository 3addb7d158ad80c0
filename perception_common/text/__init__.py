"""Text files: tables and JSON."""
