"""What a report shows, as plain values: images with overlays, plots and text.

Frames are identified by their index in `ReportContent.frames`. Pixel coordinates are those of the original image: x
right, y down, the top-left pixel covers 0 to 1.
"""
