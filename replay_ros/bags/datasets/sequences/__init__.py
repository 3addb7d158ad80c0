"""Image sequences on disk: folders of images and videos, read one frame at a time, each with its stamp."""
