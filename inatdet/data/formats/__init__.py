"""Files of annotations and detections, ours and those of other programs.

There is one module per format, with both directions of it. `annotations` and `detections` are the
doors: they find out what kind of file they are given.
"""
