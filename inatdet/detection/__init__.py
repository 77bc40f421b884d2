"""The detector: tensors in, detections out. It knows no files but weights and checkpoints."""
