"""Datasets and detections as other programs write them."""
