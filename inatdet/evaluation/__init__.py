"""Detections to numbers and pictures. Nothing here imports TensorFlow."""
