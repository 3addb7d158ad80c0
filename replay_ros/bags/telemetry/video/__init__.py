"""Telemetry beside videos: DJI's subtitles and tables of flight logs."""
