"""The result of a replay as one JSON file, and its parts."""
