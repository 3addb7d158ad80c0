"""Text in and out: tables and JSON."""
