"""The detector: settings, model, task, and detection in TFRecords and image files."""
