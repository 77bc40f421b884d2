"""The classifiers: settings, networks' heads, task, and naming what TFRecords and images show."""
