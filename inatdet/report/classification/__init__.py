"""The report on classifiers: results to files."""
