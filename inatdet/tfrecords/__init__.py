"""Images and boxes as TFRecords, written once and read in training. TensorFlow starts here."""
