"""The text of the report: tiles, problems, frames to check and tables."""
