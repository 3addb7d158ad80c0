"""Copy and paste: real objects are cut out of labelled images and pasted into others."""
