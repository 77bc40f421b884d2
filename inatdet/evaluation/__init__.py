"""From detections to numbers. Nothing here writes files or imports TensorFlow."""
