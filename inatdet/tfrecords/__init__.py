"""Images and boxes as TFRecords: written once, without TensorFlow, and read in training."""
