"""What a drone wrote about its own flight: EXIF and XMP of photographs, subtitles and tables beside videos."""
